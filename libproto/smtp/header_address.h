// Addresses inside a header's value, rewritten in place: display names, comments and folding stay as they are.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace postcot::smtp {

// `rewrite`: internal form -> internal form. The value with what changed put in its place, quoted where needed. Addresses that stand side by side without a
// comma get one, as from Postfix's cleanup(8).
std::string rewrite_addresses(std::string_view value, const std::function<std::string(std::string_view)>& rewrite);

}   // namespace postcot::smtp
