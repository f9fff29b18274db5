#include "libproto/login/listeners.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "libproto/runtime/net.h"

namespace postcot::login {

namespace {

struct Wanted {
    std::string address;
    uint16_t port = 0;
    bool ssl = false;
    std::string name;
};

std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> out;
    std::string word;
    for (char c : text + ' ') {
        if (c != ' ' && c != ',' && c != '\t') {
            word += c;
        } else if (!word.empty()) {
            out.push_back(std::move(word));
            word.clear();
        }
    }
    return out;
}

// A front of a parent that was killed may hold the port for a moment longer.
Expected<UniqueFd> listen_patiently(const SockAddr& address) {
    for (int tries = 0;; ++tries) {
        auto fd = listen_tcp(address);
        if (fd || fd.error().code != EADDRINUSE || tries == 20) return fd;
        usleep(100'000);
    }
}

Expected<std::vector<Wanted>> wanted_listeners(const config::DovecotConf& conf, const std::string& service) {
    std::vector<Wanted> out;
    bool ssl_off = conf.str("ssl") == "no";
    for (const auto* section : conf.listeners(service, "inet_listener")) {
        int64_t port = section->integer("port");
        bool ssl = section->boolean("ssl");
        if (port == 0 || (ssl && ssl_off)) continue;
        if (port < 0 || port > 65535)
            return fail(EINVAL, fmt::format("inet_listener {}: port {} is out of range", section->name, port));
        std::string addresses = section->str("address");
        if (addresses.empty()) addresses = conf.str("listen");
        for (std::string address : words(addresses)) {
            if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
            out.push_back({address, static_cast<uint16_t>(port), ssl, section->name});
        }
    }
    return out;
}

}   // namespace

Expected<std::vector<ServiceListener>> open_listeners(const config::DovecotConf& conf, const std::string& service,
                                                      std::vector<ServiceListener>& open) {
    auto wanted = wanted_listeners(conf, service);
    if (!wanted) return fail(wanted.error());
    auto activated = activated_sockets();
    std::vector<ServiceListener> out;
    std::vector<std::pair<size_t, size_t>> taken;   // index in out, index in open
    for (const Wanted& want : *wanted) {
        std::string where = fmt::format("{}:{}", want.address, want.port);
        bool found = false;
        for (auto& socket : activated) {   // by port: what systemd bound it to is the administrator's choice
            if (socket.fd && socket.local.port() == want.port) {
                out.push_back({std::move(socket.fd), want.ssl, want.name, where});
                found = true;
            }
        }
        for (auto& listener : out)
            found = found || (listener.where == where ||
                              (listener.where.ends_with(fmt::format(":{}", want.port)) && !activated.empty()));
        for (size_t i = 0; i < open.size() && !found; ++i) {
            if (open[i].where != where) continue;
            taken.emplace_back(out.size(), i);
            out.push_back({UniqueFd(), want.ssl, want.name, where});
            found = true;
        }
        if (found) continue;
        auto address = SockAddr::ip(want.address == "*" ? "0.0.0.0" : want.address, want.port);
        if (!address)
            return fail(address.error().code,
                        fmt::format("inet_listener {}: {}: {}", want.name, want.address, address.error().text));
        auto fd = listen_patiently(*address);
        if (!fd && want.address == "::" && (fd.error().code == EAFNOSUPPORT || fd.error().code == EADDRNOTAVAIL))
            continue;   // no IPv6 here
        if (!fd)
            return fail(fd.error().code,
                        fmt::format("listen({}, {}) failed: {}", want.address, want.port, fd.error().text));
        out.push_back({std::move(*fd), want.ssl, want.name, where});
    }
    for (auto [to, from] : taken) out[to].fd = std::move(open[from].fd);
    return out;
}

}   // namespace postcot::login
