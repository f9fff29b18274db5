// What main.cf and master.cf can say in Postfix's language that is not carried out here, beyond the parameters that the table calls unsupported.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/postfix.h"

namespace postcot::config {

// "dane is not supported: ..." for a value, or a word in a list of words, that its parameter has in Postfix and not here; empty when there is none.
std::string unsupported_word(std::string_view parameter, std::string_view value);

// What of a service is not done: its command, its type, its process limit. `default_limit` is default_process_limit.
std::vector<std::string> unserved(const MasterService& service, const MasterCf& master, int64_t default_limit);

}   // namespace postcot::config
