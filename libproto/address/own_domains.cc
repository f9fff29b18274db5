#include "libproto/address/own_domains.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>

#include "libproto/smtp/path.h"
#include "libproto/smtp/text.h"

namespace postcot::address {
namespace {

std::string canonical_ip(const sockaddr* address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
    } else if (address && address->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
    }
    return text;
}

std::string canonical_ip(const std::string& text) {
    in6_addr six{};
    if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return text;
    char out[INET6_ADDRSTRLEN] = "";
    inet_ntop(AF_INET6, &six, out, sizeof out);
    return out;
}

// Addresses of inet_interfaces and proxy_interfaces; names are looked up once, at start.
std::set<std::string> own_addresses(const config::MainCf& main) {
    std::set<std::string> out;
    auto words = main.list("inet_interfaces");
    for (auto& word : main.list("proxy_interfaces")) words.push_back(word);
    for (const auto& word : words) {
        if (word == "all") {
            ifaddrs* list = nullptr;
            if (getifaddrs(&list) == 0) {
                for (auto* i = list; i; i = i->ifa_next) {
                    auto text = canonical_ip(i->ifa_addr);
                    if (!text.empty()) out.insert(text);
                }
                freeifaddrs(list);
            }
        } else if (word == "loopback-only") {
            out.insert("127.0.0.1");
            out.insert("::1");
        } else {
            auto name = word;
            if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
            addrinfo hints{};
            hints.ai_socktype = SOCK_STREAM;
            addrinfo* list = nullptr;
            if (getaddrinfo(name.c_str(), nullptr, &hints, &list) == 0) {
                for (auto* i = list; i; i = i->ai_next) out.insert(canonical_ip(i->ai_addr));
                freeaddrinfo(list);
            }
        }
    }
    return out;
}

}   // namespace

Expected<std::shared_ptr<const OwnDomains>> OwnDomains::open(const config::MainCf& main) {
    auto destination = table::MatchList::open(main.str("mydestination"), main, "mydestination");
    if (!destination) return fail(std::move(destination.error()));
    std::shared_ptr<OwnDomains> out(new OwnDomains);
    out->my_destination_ = std::move(*destination);
    out->interfaces_ = own_addresses(main);
    return std::shared_ptr<const OwnDomains>(std::move(out));
}

Expected<bool> OwnDomains::has_domain(std::string_view domain) const {
    if (!domain.empty() && domain.front() == '[') {
        const auto ip = smtp::parse_address_literal(domain);
        if (!ip.empty() && interfaces_.count(canonical_ip(ip))) return true;
    }
    return my_destination_.matches_domain(smtp::lower(domain));
}

bool OwnDomains::has_address(std::string_view ip) const { return interfaces_.count(canonical_ip(std::string(ip))) > 0; }

}   // namespace postcot::address
