// The one place in config/ that touches files.
#pragma once

#include <string>

#include "libproto/error.h"

namespace postcot::config {

// A whole configuration file, at most 16 MB. Error: "open /etc/postfix/main.cf: No such file or directory".
Expected<std::string> read_text(const std::string& path);

}   // namespace postcot::config
