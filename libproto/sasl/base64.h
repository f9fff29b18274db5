// RFC 4648 §4 base64 as SASL uses it: padded, no line breaks, no foreign characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postcot::sasl {

std::string base64_encode(std::string_view bytes);
// nullopt unless `text` is whole groups of four with correct padding. (RFC 4648 §3.5's unused bits are not checked:
// Dovecot does not either.)
std::optional<std::string> base64_decode(std::string_view text);

}   // namespace postcot::sasl
