// The folders that the daemons need, their owners and modes: what `postfix check` and post-install do.
#pragma once

#include <string>
#include <vector>

#include "libproto/error.h"
#include "tools/postcot/settings.h"

namespace postcot::control {

// Creates what is missing. As root it also sets owners and modes of what it creates.
Expected<void> create_folders(const Settings& settings, Half half);

// What is wrong with the folders: one line each, without changing anything.
std::vector<std::string> check_folders(const Settings& settings, Half half);

}   // namespace postcot::control
