// SEARCH (RFC 3501 §6.4.4), ESEARCH (RFC 4731), SORT and THREAD (RFC 5256), WITHIN (RFC 5032), SEARCHRES (RFC 5182),
// MODSEQ (RFC 7162).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libproto/imap/date.h"
#include "libproto/imap/lexer.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imap {

struct SearchKey {
    enum class Kind {
        kAll,
        kAnd,
        kOr,
        kSequence,
        kUid,
        kAnswered,
        kFlagged,
        kDeleted,
        kSeen,
        kDraft,
        kRecent,
        kKeyword,
        kBcc,
        kCc,
        kFrom,
        kTo,
        kSubject,
        kHeader,
        kBody,
        kText,
        kBefore,
        kOn,
        kSince,
        kSentBefore,
        kSentOn,
        kSentSince,
        kSavedBefore,
        kSavedOn,
        kSavedSince,
        kLarger,
        kSmaller,
        kOlder,
        kYounger,
        kModSeq,
    };
    Kind kind = Kind::kAll;
    bool negate = false;   // UNSEEN is not kSeen; NEW is kAnd(kRecent, not kSeen)
    std::vector<SearchKey> children;
    SequenceSet set;
    std::string header;
    std::string text;   // in the command's charset
    Date date;
    uint64_t number = 0;
};
inline constexpr int kMaxSearchDepth = 64;
inline constexpr size_t kMaxSearchKeys = 4096;

struct SearchReturn {
    bool min = false, max = false, all = false, count = false, save = false;
    bool any() const { return min || max || all || count || save; }
};

struct Search {
    bool uid = false;
    std::optional<SearchReturn> result;   // RETURN (...) was given: answer with ESEARCH
    std::string charset;                  // empty: none given; upper case
    SearchKey key;                        // kAnd of everything
};

struct SortOrder {
    enum class Field { kArrival, kCc, kDate, kFrom, kSize, kSubject, kTo } field = Field::kArrival;
    bool reverse = false;
    bool operator==(const SortOrder&) const = default;
};
struct Sort {
    Search search;
    std::vector<SortOrder> order;
};

struct Thread {
    enum class Algorithm { kOrderedSubject, kReferences, kRefs } algorithm = Algorithm::kReferences;
    Search search;
};

Expected<Search> parse_search(Lexer& in, bool uid);
Expected<Sort> parse_sort(Lexer& in, bool uid);
Expected<Thread> parse_thread(Lexer& in, bool uid);
bool uses_modseq(const SearchKey& key);

}   // namespace postcot::imap
