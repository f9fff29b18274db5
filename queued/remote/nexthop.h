// Where a transport's nexthop points: "example.com" (MX), "example.com:587", "[mail.example.com]:465" (no MX), "inet:host:port", "unix:private/lmtp".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::queued {

struct Nexthop {
    enum class Kind { kDomain, kHost, kUnix };
    Kind kind = Kind::kDomain;
    std::string host;   // without brackets; an address literal without "IPv6:"; kUnix: the path
    uint16_t port = 0;
    bool default_port = true;
};

// `default_port`: smtp_tcp_port, lmtp_tcp_port: a number or a services(5) name. LMTP knows no MX.
Expected<Nexthop> parse_nexthop(std::string_view text, bool lmtp, std::string_view default_port);

// services(5), with the mail ports known by heart. 0: unknown.
uint16_t port_number(std::string_view name);

}   // namespace postcot::queued
