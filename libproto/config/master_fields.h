// Shared by the reader and the editor of master.cf.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::config {

// White-space separated fields; a {} group is one field and keeps its braces.
Expected<std::vector<std::string>> split_master_fields(std::string_view line);

// Letters, digits and '_', '-', '.': what -o can set.
bool is_parameter_name(std::string_view name);

}   // namespace postcot::config
