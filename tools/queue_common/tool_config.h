// Where a queue tool finds its configuration: -c DIR or MAIL_CONFIG; DIR holds main.cf, or postfix/main.cf below it.
#pragma once

#include <string>

#include "libproto/config/postfix.h"
#include "libproto/error.h"

namespace postcot::tools {

inline constexpr const char* kDefaultDirectory = "/etc/postfix";

// The folder that holds main.cf.
std::string config_directory(const std::string& given);

// Ends the program with "NAME: fatal: ..." and status 75 when main.cf cannot be read. A set-gid program only believes an untrusted user's -c when the
// default main.cf lists it (alternate_config_directories).
config::MainCf load_config(const std::string& given, const char* program);

[[noreturn]] void die(const char* program, int status, const std::string& text);

}   // namespace postcot::tools
