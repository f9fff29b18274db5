// $name, ${name}, ${name?text}, ${name:text} over values that are known only at delivery: forward_path, luser_relay, pipe(8)'s argv. (main.cf's own
// expansion leaves such names as they are.)
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace postcot::queued {

using Macros = std::map<std::string, std::string, std::less<>>;

// Characters of values that are not in `filter` become '_' (an empty filter allows all).
std::string expand_macros(std::string_view text, const Macros& macros, std::string_view filter);

}   // namespace postcot::queued
