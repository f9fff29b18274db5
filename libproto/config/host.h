// Defaults that come from the host Postcot runs on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postcot::config {

// gethostname(), lower case kept as it is; "localhost" when the system has none.
std::string host_name();

enum class NetworkStyle { kHost, kSubnet, kClass };
// mynetworks (postconf(5), mynetworks_style): "127.0.0.0/8 192.0.2.0/24 [::1]/128". `interfaces` is inet_interfaces:
// "all", "loopback-only" or addresses.
std::string own_networks(NetworkStyle style, const std::vector<std::string>& interfaces, bool ipv4, bool ipv6);

}   // namespace postcot::config
