#include "libproto/config/host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace postcot::config {
namespace {

struct OwnAddress {
    int family;
    unsigned char bytes[16];
    int prefix;   // of the interface's network
    bool loopback;
};

int prefix_of(const unsigned char* mask, size_t length) {
    int bits = 0;
    for (size_t i = 0; i < length; ++i) bits += __builtin_popcount(mask[i]);
    return bits;
}

std::vector<OwnAddress> own_addresses() {
    std::vector<OwnAddress> out;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return out;
    for (const auto* i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || !i->ifa_netmask || !(i->ifa_flags & IFF_UP)) continue;
        OwnAddress address{};
        address.family = i->ifa_addr->sa_family;
        address.loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
        if (address.family == AF_INET) {
            const auto* in = reinterpret_cast<const sockaddr_in*>(i->ifa_addr);
            const auto* mask = reinterpret_cast<const sockaddr_in*>(i->ifa_netmask);
            std::memcpy(address.bytes, &in->sin_addr, 4);
            address.prefix = prefix_of(reinterpret_cast<const unsigned char*>(&mask->sin_addr), 4);
        } else if (address.family == AF_INET6) {
            const auto* in = reinterpret_cast<const sockaddr_in6*>(i->ifa_addr);
            const auto* mask = reinterpret_cast<const sockaddr_in6*>(i->ifa_netmask);
            std::memcpy(address.bytes, &in->sin6_addr, 16);
            address.prefix = prefix_of(reinterpret_cast<const unsigned char*>(&mask->sin6_addr), 16);
        } else {
            continue;
        }
        out.push_back(address);
    }
    ::freeifaddrs(list);
    return out;
}

int class_prefix(const OwnAddress& address) {
    if (address.family == AF_INET6) return address.prefix;
    if (address.bytes[0] < 128) return 8;
    if (address.bytes[0] < 192) return 16;
    return 24;
}

std::string text_of(const OwnAddress& address) {
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(address.family, address.bytes, text, sizeof text);
    return text;
}

}   // namespace

std::string host_name() {
    char name[256] = "";
    if (::gethostname(name, sizeof name - 1) != 0 || !name[0]) return "localhost";
    return name;
}

std::string own_networks(NetworkStyle style, const std::vector<std::string>& interfaces, bool ipv4, bool ipv6) {
    bool all = std::find(interfaces.begin(), interfaces.end(), "all") != interfaces.end();
    bool loopback = std::find(interfaces.begin(), interfaces.end(), "loopback-only") != interfaces.end() ||
                    std::find(interfaces.begin(), interfaces.end(), "localhost") != interfaces.end();
    std::vector<std::string> networks;
    for (OwnAddress address : own_addresses()) {
        if (!(address.family == AF_INET ? ipv4 : ipv6)) continue;
        std::string text = text_of(address);
        bool named = std::find(interfaces.begin(), interfaces.end(), text) != interfaces.end() ||
                     std::find(interfaces.begin(), interfaces.end(), '[' + text + ']') != interfaces.end();
        if (!all && !named && !(loopback && address.loopback)) continue;
        int width = address.family == AF_INET ? 32 : 128;
        int prefix = style == NetworkStyle::kHost     ? width
                     : style == NetworkStyle::kSubnet ? address.prefix
                                                      : class_prefix(address);
        for (int bit = prefix; bit < width; ++bit) {
            address.bytes[bit / 8] = static_cast<unsigned char>(address.bytes[bit / 8] & ~(0x80 >> (bit % 8)));
        }
        text = text_of(address);
        if (address.family == AF_INET6) text = '[' + text + ']';
        text += '/' + std::to_string(prefix);
        if (std::find(networks.begin(), networks.end(), text) == networks.end()) networks.push_back(text);
    }
    std::string out;
    for (const auto& network : networks) out += (out.empty() ? "" : " ") + network;
    return out;
}

}   // namespace postcot::config
