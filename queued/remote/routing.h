// RFC 5321 §5: from a nexthop to the hosts to try, in order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "libproto/resolver/resolver.h"
#include "queued/remote/failure.h"
#include "queued/remote/nexthop.h"
#include "queued/remote/settings.h"

namespace postcot::queued {

struct Host {
    std::string name;        // "mx.example.com"; for a Unix socket our own name, as Postfix's log has it
    std::string address;     // "192.0.2.1"
    std::string unix_path;   // absolute, or relative to queue_directory
    uint16_t port = 0;
    uint16_t preference = 0;

    bool is_unix() const { return !unix_path.empty(); }
    std::string label() const;   // "mx.example.com[192.0.2.1]"
    std::string relay() const;   // "mx.example.com[192.0.2.1]:25"
};

// Addresses of this host: inet_interfaces (or all there are) and proxy_interfaces.
class OwnAddresses {
  public:
    explicit OwnAddresses(const config::MainCf& main);
    bool has(const std::string& address) const;

  private:
    std::vector<std::string> addresses_;
};

// MX hosts by preference (equal ones shuffled), their addresses by smtp_address_preference, at most mx_address_limit in all. Those at our own preference and
// after are left out: mail would come back (RFC 5321 §5.1). `random(n)` gives 0..n-1.
Task<tl::expected<std::vector<Host>, Failure>> find_hosts(const Nexthop& nexthop, const ClientSettings& settings,
                                                          dns::Resolver& resolver, const OwnAddresses& own,
                                                          std::function<size_t(size_t)> random);

// Order of one preference's addresses: shuffled; "ipv6" or "ipv4" first, or (any) taking turns when smtp_balance_inet_protocols' purpose needs it.
void order_addresses(std::vector<Host>& hosts, const ClientSettings& settings,
                     const std::function<size_t(size_t)>& random);

}   // namespace postcot::queued
