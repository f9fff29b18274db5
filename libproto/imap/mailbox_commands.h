// Commands that name mailboxes: RFC 3501 §6.3, LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC
// 6154), CONDSTORE and QRESYNC (RFC 7162). Mailbox names are UTF-8, INBOX in capitals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libproto/imap/date.h"
#include "libproto/imap/flags.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imap {

// RFC 7162 §3.2.5. The client's pairs of message numbers and UIDs only spare work, which is not needed here: they are
// read and dropped.
struct Resync {
    uint32_t uid_validity = 0;
    uint64_t modseq = 0;
    std::optional<SequenceSet> known_uids;
};

struct Select {
    std::string mailbox;
    bool examine = false;
    bool condstore = false;
    std::optional<Resync> resync;
};

struct Create {
    std::string mailbox;                    // a trailing separator is kept: it says that children will follow
    std::vector<std::string> special_use;   // CREATE-SPECIAL-USE: "\Sent" ...
};
struct Delete {
    std::string mailbox;
};
struct Rename {
    std::string from, to;
};
struct Subscribe {
    std::string mailbox;
};
struct Unsubscribe {
    std::string mailbox;
};

struct StatusItems {
    bool messages = false, recent = false, uid_next = false, uid_validity = false, unseen = false;
    bool highest_modseq = false;   // RFC 7162
    bool size = false;             // RFC 8438
    bool deleted = false;          // RFC 9051
    bool append_limit = false;     // RFC 7889
    bool operator==(const StatusItems&) const = default;
};
struct Status {
    std::string mailbox;
    StatusItems items;
};

struct List {
    bool lsub = false;
    bool extended = false;   // RFC 5258 syntax was used
    std::string reference;
    std::vector<std::string> patterns;   // UTF-8
    // selection options
    bool select_subscribed = false, select_remote = false, select_recursive_match = false, select_special_use = false;
    // return options
    bool return_subscribed = false, return_children = false, return_special_use = false;
    std::optional<StatusItems> return_status;
};

struct Append {
    std::string mailbox;
    FlagList flags;
    std::optional<DateTime> date;
};
// RFC 3502: what stands before a further message literal; `text` is what CommandReader gives after after_message().
Expected<Append> parse_append_next(std::string_view text);

}   // namespace postcot::imap
