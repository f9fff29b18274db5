// $name, ${name}, $(name), ${name?text}, ${name:text}, ${name?{a}:{b}}, ${{a} op {b} ? {x} : {y}} of main.cf
// (postconf(5)); $$ is a '$'.
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::config {

class Names {
  public:
    virtual ~Names() = default;
    // The unexpanded value; false when nobody defined `name` (it expands to nothing).
    virtual bool value(std::string_view name, std::string& out) const = 0;
};

// Values are expanded again, as Postfix does. Errors: unbalanced braces, "unreasonable macro call nesting".
Expected<std::string> expand(std::string_view text, const Names& names);

// compatibility_level's order: "3.6" < "3.10"; used by <level and friends. Negative, 0, positive.
int compare_levels(std::string_view a, std::string_view b);

}   // namespace postcot::config
