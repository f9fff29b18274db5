#include "queued/remote/nexthop.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <cerrno>
#include <charconv>

namespace postcot::queued {

uint16_t port_number(std::string_view name) {
    uint16_t port = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), port);
    if (error == std::errc() && end == name.data() + name.size()) return port;
    struct Known {
        std::string_view name;
        uint16_t port;
    };
    for (const Known& known : {Known{"smtp", 25}, Known{"submission", 587}, Known{"submissions", 465},
                               Known{"smtps", 465}, Known{"lmtp", 24}})
        if (known.name == name) return known.port;
    if (const servent* entry = getservbyname(std::string(name).c_str(), "tcp"))
        return ntohs(static_cast<uint16_t>(entry->s_port));
    return 0;
}

Expected<Nexthop> parse_nexthop(std::string_view text, bool lmtp, std::string_view default_port) {
    Nexthop out;
    std::string_view whole = text;
    auto bad = [&] { return fail(EINVAL, "5.4.4", "bad next-hop destination: " + std::string(whole)); };
    if (text.substr(0, 5) == "unix:") {
        out.kind = Nexthop::Kind::kUnix;
        out.host = std::string(text.substr(5));
        if (out.host.empty()) return bad();
        return out;
    }
    if (text.substr(0, 5) == "inet:") {
        text.remove_prefix(5);
        out.kind = Nexthop::Kind::kHost;
    }
    if (lmtp) out.kind = Nexthop::Kind::kHost;
    std::string_view port;
    if (!text.empty() && text.front() == '[') {
        size_t close = text.find(']');
        if (close == std::string_view::npos) return bad();
        out.kind = Nexthop::Kind::kHost;
        out.host = std::string(text.substr(1, close - 1));
        std::string_view rest = text.substr(close + 1);
        if (!rest.empty()) {
            if (rest.front() != ':') return bad();
            port = rest.substr(1);
            if (port.empty()) return bad();
        }
    } else {
        size_t colon = text.find(':');
        out.host = std::string(text.substr(0, colon));
        if (colon != std::string_view::npos) {
            port = text.substr(colon + 1);
            if (port.empty()) return bad();
        }
    }
    constexpr std::string_view kTag = "ipv6:";   // RFC 5321 §4.1.3
    if (out.host.size() > kTag.size()) {
        bool tagged = true;
        for (size_t i = 0; i < kTag.size(); ++i) tagged = tagged && (out.host[i] | 0x20) == (kTag[i] | 0x20);
        if (tagged) out.host.erase(0, kTag.size());
    }
    if (out.host.empty()) return bad();
    out.default_port = port.empty();
    out.port = port_number(port.empty() ? default_port : port);
    if (out.port == 0) return bad();
    return out;
}

}   // namespace postcot::queued
