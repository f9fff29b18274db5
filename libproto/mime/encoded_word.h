// RFC 2047 encoded words, as written and as found in the wild (adjacent words split inside a character, spaces, unknown
// charsets).
#pragma once

#include <string>
#include <string_view>

namespace postcot::mime {

// Unstructured or phrase text to UTF-8. Raw 8-bit is taken as UTF-8 when valid, else as `fallback`. Never fails.
std::string decode_header(std::string_view value, std::string_view fallback = "windows-1252");
// UTF-8 to ASCII with encoded words of at most 75 octets, folded; ASCII is returned as it is.
std::string encode_header(std::string_view utf8, size_t first_line_used = 0);

}   // namespace postcot::mime
