// Header fields (RFC 5322 §2.2). Total: any bytes give a list of fields. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postcot::mime {

struct Field {
    std::string_view name;    // as written, without the colon
    std::string_view value;   // raw, folded, without the final line end
    uint32_t begin = 0;       // octets of the whole field with its line end, relative to the header's start
    uint32_t end = 0;
};

inline constexpr size_t kMaxFields = 5000;
inline constexpr size_t kMaxHeader = 1 << 20;   // octets looked at; what follows is taken as body

// Fields of a header block, up to its empty line or the end. Lines without a colon belong to no field.
std::vector<Field> parse_fields(std::string_view header);

bool iequals(std::string_view a, std::string_view b);   // ASCII case-insensitive
const Field* find_field(const std::vector<Field>& fields, std::string_view name);
// RFC 5322 §2.2.3: line ends taken out, surrounding white space trimmed, NUL dropped.
std::string unfold(std::string_view value);

// Content-Type and Content-Disposition: "value; name=parameter" with RFC 2231 continuations and charsets, and RFC 2047
// words where they should not be.
struct Parameterised {
    std::string value;                                      // as written ("text/plain")
    std::vector<std::pair<std::string, std::string>> raw;   // as written, unquoted: what IMAP BODYSTRUCTURE shows
    std::string parameter(std::string_view name) const;     // decoded to UTF-8; empty when absent
};
Parameterised parse_parameterised(std::string_view value);

}   // namespace postcot::mime
