// Queue ids as Postfix composes them, so that every log tool knows them.
//   short: microseconds as 5 hex digits, then the inode number in hex (enable_long_queue_ids = no)
//   long:  seconds in base 52 (6+ digits), microseconds in base 52 (4 digits), 'z', inode in base 51
// There is no inode here: queued gives each intake connection a block of numbers that play its part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postcot::smtp {

struct QueueTime {
    int64_t seconds = 0;
    uint32_t microseconds = 0;   // < 1 000 000
};

std::string compose_queue_id(bool long_format, QueueTime time, uint64_t number);
// Any spelling a tool may be given; bounded length, no path characters.
bool is_queue_id(std::string_view text);
// The arrival time in a long id; nullopt for the short format, which has no seconds.
std::optional<QueueTime> queue_id_time(std::string_view id);

}   // namespace postcot::smtp
