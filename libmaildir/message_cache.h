// What the index keeps of a message's content: made once from the file, then copied out.
//
//   head:  HeadStart, then the chosen header fields as they stand in the file
//   wire:  u32 length of ENVELOPE, ENVELOPE, BODYSTRUCTURE (to the end)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/mime/header.h"

namespace postcot::maildir {

struct HeadStart {
    int64_t sent = 0;   // the Date: field, UTC
    int16_t zone_minutes = 0;
    uint8_t has_date = 0;   // it could be read
    uint8_t complete = 0;   // the chosen fields are all there (a giant header is cut)
    uint32_t unused = 0;
};

struct Cached {
    std::string head, wire;
};
Cached cache_of(std::string_view message);

HeadStart head_start(std::string_view head);
std::string_view head_fields(std::string_view head);
std::string_view wire_envelope(std::string_view wire);
std::string_view wire_bodystructure(std::string_view wire);
// Whether head records hold this field (when complete).
bool field_is_cached(std::string_view name);

}   // namespace postcot::maildir
