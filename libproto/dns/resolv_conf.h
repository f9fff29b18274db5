// resolv.conf(5): whom to ask. Search lists are not used: a mail domain is written whole.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postcot::dns {

// "192.0.2.1", "fe80::1%eth0"; "@port" after an address is kept.
std::vector<std::string> name_servers(std::string_view text);

}   // namespace postcot::dns
