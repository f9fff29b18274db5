// Commands on the messages of the selected mailbox, but FETCH and SEARCH: RFC 3501 §6.4, UIDPLUS (RFC 4315), MOVE (RFC
// 6851), UNSELECT (RFC 3691).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "libproto/imap/flags.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imap {

struct Check {};
struct Close {};
struct Unselect {};

struct Expunge {
    std::optional<SequenceSet> uids;   // UID EXPUNGE
};

struct Store {
    bool uid = false;
    SequenceSet set;
    enum class How { kReplace, kAdd, kRemove } how = How::kReplace;
    bool silent = false;
    std::optional<uint64_t> unchanged_since;   // RFC 7162 §3.1.3
    FlagList flags;
};

struct Copy {
    bool uid = false;
    bool move = false;
    SequenceSet set;
    std::string mailbox;
};

}   // namespace postcot::imap
