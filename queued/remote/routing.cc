#include "queued/remote/routing.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>

#include <algorithm>
#include <cerrno>

#include "libproto/smtp/idna.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/text.h"

namespace postcot::queued {

namespace {

bool is_ipv6(const Host& host) { return host.address.find(':') != std::string::npos; }

Failure from_lookup(const Error& error, const ClientSettings& settings) {
    Failure out = make_failure(error.enhanced, error.text);
    // smtp(8): a host that is not found is final for mail by DNS; LMTP's host is our own configuration and may be mended.
    if (settings.lmtp && out.permanent()) out.dsn[0] = '4';
    return out;
}

}   // namespace

std::string Host::label() const { return fmt::format("{}[{}]", name, is_unix() ? unix_path : address); }

std::string Host::relay() const {
    // Postfix: "mx.example.com[private/lmtp]" for Unix sockets.
    return is_unix() ? label() : fmt::format("{}:{}", label(), port);
}

OwnAddresses::OwnAddresses(const config::MainCf& main) {
    for (const auto& name : main.list("proxy_interfaces")) addresses_.push_back(name);
    bool all = false, loopback = false;
    for (const auto& name : main.list("inet_interfaces")) {
        if (name == "all")
            all = true;
        else if (name == "loopback-only")
            loopback = true;
        else
            addresses_.push_back(name.size() > 2 && name.front() == '[' ? name.substr(1, name.size() - 2) : name);
    }
    if (!all && !loopback) return;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return;
    for (ifaddrs* entry = list; entry; entry = entry->ifa_next) {
        if (!entry->ifa_addr) continue;
        char text[INET6_ADDRSTRLEN];
        const void* bytes = nullptr;
        int family = entry->ifa_addr->sa_family;
        if (family == AF_INET)
            bytes = &reinterpret_cast<sockaddr_in*>(entry->ifa_addr)->sin_addr;
        else if (family == AF_INET6)
            bytes = &reinterpret_cast<sockaddr_in6*>(entry->ifa_addr)->sin6_addr;
        if (bytes && inet_ntop(family, bytes, text, sizeof text)) addresses_.emplace_back(text);
    }
    freeifaddrs(list);
}

bool OwnAddresses::has(const std::string& address) const {
    return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end();
}

void order_addresses(std::vector<Host>& hosts, const ClientSettings& settings,
                     const std::function<size_t(size_t)>& random) {
    if (settings.randomize_addresses)
        for (size_t i = hosts.size(); i > 1; --i) std::swap(hosts[i - 1], hosts[random(i)]);
    bool six_first = settings.address_preference == "ipv6";
    bool four_first = settings.address_preference == "ipv4";
    std::stable_sort(hosts.begin(), hosts.end(), [&](const Host& a, const Host& b) {
        if (a.preference != b.preference) return a.preference < b.preference;
        if (six_first) return is_ipv6(a) && !is_ipv6(b);
        if (four_first) return !is_ipv6(a) && is_ipv6(b);
        return false;
    });
}

Task<tl::expected<std::vector<Host>, Failure>> find_hosts(const Nexthop& nexthop, const ClientSettings& settings,
                                                          dns::Resolver& resolver, const OwnAddresses& own,
                                                          std::function<size_t(size_t)> random) {
    using Result = tl::expected<std::vector<Host>, Failure>;
    std::vector<Host> hosts;
    if (nexthop.kind == Nexthop::Kind::kUnix) {
        Host host;
        host.name = settings.myhostname;
        host.unix_path = nexthop.host;
        hosts.push_back(std::move(host));
        co_return Result(std::move(hosts));
    }
    if (smtp::is_ipv4(nexthop.host) || smtp::is_ipv6(nexthop.host)) {
        Host host;
        host.name = host.address = nexthop.host;
        host.port = nexthop.port;
        hosts.push_back(std::move(host));
        co_return Result(std::move(hosts));
    }
    // RFC 6531 §3.2: the DNS is asked for A-labels.
    auto ascii = smtp::domain_to_ascii(nexthop.host);
    if (!ascii) co_return Result(tl::unexpect, make_failure("5.4.4", "bad domain name: " + nexthop.host));
    std::string name = *ascii;

    std::vector<dns::Mx> exchangers;
    bool by_mx = false;
    if (nexthop.kind == Nexthop::Kind::kDomain && settings.host_lookup_dns) {
        auto mx = co_await resolver.mx(name);
        if (mx) {
            exchangers = std::move(*mx);
            by_mx = true;
            // RFC 7505 §3
            bool null = exchangers.size() == 1 && exchangers[0].host.empty();
            if (null)
                co_return Result(tl::unexpect,
                                 make_failure("5.1.10", fmt::format("Domain {} does not accept mail (nullMX)", name)));
        } else if (mx.error().code != ENODATA) {
            // ENOENT: neither has it an address (RFC 2308 §2.1).
            if (mx.error().code != ENOENT || !settings.host_lookup_native)
                co_return Result(tl::unexpect, from_lookup(mx.error(), settings));
        }
    }
    if (!by_mx) {
        dns::Mx itself;   // RFC 5321 §5.1: implicit MX
        itself.host = name;
        exchangers.push_back(std::move(itself));
    }

    auto family = settings.use_ipv4 && settings.use_ipv6 ? dns::Resolver::Family::kAny
                  : settings.use_ipv6                    ? dns::Resolver::Family::kIpv6
                                                         : dns::Resolver::Family::kIpv4;
    constexpr size_t kMaxExchangers = 100;
    if (exchangers.size() > kMaxExchangers) exchangers.resize(kMaxExchangers);
    bool temporary = false;
    Error last;
    for (const auto& exchanger : exchangers) {
        if (exchanger.host.empty()) continue;
        if (smtp::is_ipv4(exchanger.host) || smtp::is_ipv6(exchanger.host)) continue;   // RFC 5321 §5.1: names only
        auto addresses = co_await resolver.addresses(exchanger.host, family, settings.host_lookup_native);
        if (!addresses) {
            bool passing = addresses.error().code != ENOENT && addresses.error().code != ENODATA;
            if (passing || !temporary) last = addresses.error();
            temporary = temporary || passing;
            continue;
        }
        for (auto& address : *addresses) {
            Host host;
            host.name = exchanger.host;
            host.address = std::move(address);
            host.port = nexthop.port;
            host.preference = exchanger.preference;
            hosts.push_back(std::move(host));
        }
    }
    if (hosts.empty()) {
        if (last.code == 0) last = dns::lookup_error(ENODATA, name, dns::Type::kA);
        Failure failure = from_lookup(last, settings);
        // smtp_defer_if_no_mx_address_found=no: MX hosts without any address are final, unless the DNS did not answer for one.
        if (temporary) failure.dsn = "4.4.3";
        co_return Result(tl::unexpect, std::move(failure));
    }

    if (by_mx && nexthop.default_port && port_number(settings.tcp_port) == 25) {
        uint16_t ours = 0xffff;
        bool found = false;
        for (const auto& host : hosts) {
            bool self = own.has(host.address) || smtp::equals_ignoring_case(host.name, settings.myhostname);
            if (self && (!found || host.preference < ours)) {
                ours = host.preference;
                found = true;
            }
        }
        if (found) {
            std::erase_if(hosts, [&](const Host& host) { return host.preference >= ours; });
            if (hosts.empty())
                co_return Result(tl::unexpect,
                                 make_failure("5.4.6", fmt::format("mail for {} loops back to myself", name)));
        }
    }
    order_addresses(hosts, settings, random);
    if (settings.mx_address_limit > 0 && hosts.size() > static_cast<size_t>(settings.mx_address_limit))
        hosts.resize(static_cast<size_t>(settings.mx_address_limit));
    co_return Result(std::move(hosts));
}

}   // namespace postcot::queued
