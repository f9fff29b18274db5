// Queue ids in Postfix's two formats, so that every log tool knows them (postconf(5) enable_long_queue_ids).
//   short  "4F0C312AB7"        microseconds as five hex digits, then a number in hex
//   long   "4XqS8y2c3Tz5dW"    seconds (base 52, 6 digits), microseconds (base 52, 4 digits), 'z', a number in base 51
// Postfix's number is the queue file's inode; ours comes from queued, which gives each number once (see IntakeNumbers
// in queue.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postcot::ipc {

std::string make_queue_id(bool long_ids, int64_t seconds, int microseconds, uint64_t number);

// What may name a file or be typed by a person: 6 to 100 letters and digits. "ALL" and "-" are no queue ids.
bool valid_queue_id(std::string_view id);

// The number back out of an id, 0 when it has none: queued continues above the highest one it finds.
uint64_t queue_id_number(std::string_view id);

}   // namespace postcot::ipc
