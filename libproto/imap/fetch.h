// FETCH (RFC 3501 §6.4.5), CONDSTORE's CHANGEDSINCE (RFC 7162), BINARY (RFC 3516), SAVEDATE (RFC 8514), PREVIEW (RFC 8970).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libproto/imap/lexer.h"
#include "libproto/imap/sequence_set.h"
#include "libproto/mime/section.h"

namespace postcot::imap {

struct FetchItem {
    enum class Kind {
        kUid,
        kFlags,
        kInternalDate,
        kRfc822Size,
        kEnvelope,
        kBodyStructure,
        kBody /* without a section */,
        kModSeq,
        kSaveDate,
        kPreview,
        kBinarySize,   // BINARY.SIZE[...]
        kSection,      // BODY[...], BINARY[...]
        kRfc822,
        kRfc822Header,
        kRfc822Text,   // the old names: same content as a section, own label
    };
    Kind kind = Kind::kFlags;
    mime::Section section;   // kSection and the RFC822 forms
    bool peek = false;       // does not set \Seen
    struct Partial {
        uint64_t offset = 0;
        uint64_t length = 0;   // non-zero
    };
    std::optional<Partial> partial;
    std::string label;   // as the response names it: "BODY[HEADER.FIELDS (FROM TO)]<0>", "RFC822.TEXT"
};
inline constexpr size_t kMaxFetchItems = 256;

struct Fetch {
    bool uid = false;
    SequenceSet set;
    std::vector<FetchItem> items;   // macros are expanded
    std::optional<uint64_t> changed_since;
    bool vanished = false;   // RFC 7162 §3.2.6: of UID FETCH with CHANGEDSINCE
};

Expected<Fetch> parse_fetch(Lexer& in, bool uid);

}   // namespace postcot::imap
