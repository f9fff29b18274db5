// Charsets to UTF-8 (ICU), collation keys, modified UTF-7.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::mime {

bool valid_utf8(std::string_view text);
bool known_charset(std::string_view charset);
// Bad sequences become U+FFFD; nullopt only for an unknown charset. Knows mail's own names (ks_c_5601-1987 is CP949,
// iso-2022-kr ...).
std::optional<std::string> to_utf8(std::string_view text, std::string_view charset);
// UTF-8 with every bad sequence replaced.
std::string scrub_utf8(std::string_view text);

// RFC 5051 i;unicode-casemap: titlecased, decomposed. Equal keys are equal strings; bytewise order is the collation's
// order.
std::string casemap(std::string_view utf8);

// RFC 3501 §5.1.3 mailbox names.
Expected<std::string> mutf7_to_utf8(std::string_view name);
std::string utf8_to_mutf7(std::string_view name);

}   // namespace postcot::mime
