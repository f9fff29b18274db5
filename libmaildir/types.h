// The numbers and flags of a mailbox (RFC 3501 §2.3). Types carry meaning: a Uid is never taken for a SeqNum.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace postcot::maildir {

struct Uid {
    uint32_t value = 0;   // 0: none
    auto operator<=>(const Uid&) const = default;
};

// Position in a session's view, from 1.
struct SeqNum {
    uint32_t value = 0;
    auto operator<=>(const SeqNum&) const = default;
};

// RFC 7162. Starts from wall-clock milliseconds (below 2^63), so that a rebuilt index never goes backwards.
struct ModSeq {
    uint64_t value = 0;
    auto operator<=>(const ModSeq&) const = default;
};

enum SystemFlag : uint8_t {
    kAnswered = 1 << 0,
    kFlagged = 1 << 1,
    kDeleted = 1 << 2,
    kSeen = 1 << 3,
    kDraft = 1 << 4,
};

// What the message's file name holds. Keyword bit i is the folder's keyword i (Mailbox::keywords()), letter 'a'+i on
// disk: at most 26. \Recent is not here: it belongs to the session (Mailbox::is_recent).
struct FlagSet {
    uint8_t system = 0;
    uint32_t keywords = 0;
    bool has(SystemFlag flag) const { return (system & flag) != 0; }
    bool operator==(const FlagSet&) const = default;
};

inline constexpr int kMaxKeywords = 26;

// Seconds since 1970 and the zone it was said in (IMAP INTERNALDATE keeps both; the store keeps the seconds).
struct DateTime {
    int64_t seconds = 0;
    int zone_minutes = 0;
};

// Inclusive ranges, ascending, disjoint, '*' already resolved.
struct NumberRange {
    uint32_t first = 0;
    uint32_t last = 0;
};
using NumberSet = std::vector<NumberRange>;

bool contains(const NumberSet& set, uint32_t number);

}   // namespace postcot::maildir
