// Log lines about one user of a process that serves several: "imap(user)<pid><session>: ..." instead of the process's own prefix.
#pragma once

#include <string>
#include <string_view>

#include "libproto/runtime/log.h"

namespace postcot::login {

void set_process_prefix(std::string prefix);   // the process's own; remembered
void user_log(const std::string& prefix, log::Level level, std::string_view text);

}   // namespace postcot::login
