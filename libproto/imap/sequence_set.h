// RFC 3501 §9: sequence-set. Numbers are message numbers or UIDs; "*" is the largest number in use; "$" (RFC 5182) the
// saved result.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::imap {

struct SequenceSet {
    static constexpr uint32_t kStar = 0;   // "*": no message has this number

    struct Range {
        uint32_t first = 0;   // as written: "9:4" has first 9
        uint32_t last = 0;
        bool operator==(const Range&) const = default;
    };
    std::vector<Range> ranges;
    bool saved = false;   // "$"

    bool operator==(const SequenceSet&) const = default;

    // With "*" replaced by `largest`: sorted, merged, first <= last. Numbers over `largest` stay.
    std::vector<Range> resolve(uint32_t largest) const;
};

// At most this many ranges, so that a line of "1,3,5,..." costs a bounded amount of memory.
inline constexpr size_t kMaxRanges = 32 * 1024;

Expected<SequenceSet> parse_sequence_set(std::string_view text);
// "1:3,5" of sorted numbers; empty for none.
std::string format_set(const std::vector<uint32_t>& sorted);
std::string format_ranges(const std::vector<SequenceSet::Range>& ranges);

}   // namespace postcot::imap
