// Addresses inside a header's value, found in place, so that rewriting one leaves display names, comments and folding
// as they are.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::smtp {

// Where an addr-spec stands in the value: offset and length, without its brackets.
struct AddressSpan {
    size_t offset = 0;
    size_t length = 0;
};

// RFC 5322 §3.4 address-list, group syntax and obsolete routes included. Total; at most kMaxSpans.
inline constexpr size_t kMaxSpans = 10000;
std::vector<AddressSpan> find_addresses(std::string_view value);

// Internal forms of find_addresses(): what sendmail -t sends to.
std::vector<std::string> list_addresses(std::string_view value);

// `rewrite`: internal form -> internal form. The value with what changed put in its place, quoted where needed.
std::string rewrite_addresses(std::string_view value, const std::function<std::string(std::string_view)>& rewrite);

}   // namespace postcot::smtp
