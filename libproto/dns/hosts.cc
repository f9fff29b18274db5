#include "libproto/dns/hosts.h"

#include <arpa/inet.h>

namespace postcot::dns {

namespace {

// The one way to write an address; empty when it is none.
std::string canonical(std::string_view address) {
    std::string text(address);
    unsigned char bytes[16];
    char out[INET6_ADDRSTRLEN];
    for (int family : {AF_INET, AF_INET6})
        if (inet_pton(family, text.c_str(), bytes) == 1 && inet_ntop(family, bytes, out, sizeof out)) return out;
    return {};
}

std::string lower(std::string_view text) {
    std::string out(text);
    if (!out.empty() && out.back() == '.') out.pop_back();
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

}   // namespace

Hosts Hosts::parse(std::string_view text) {
    Hosts out;
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        line = line.substr(0, line.find('#'));
        std::string address;
        bool first = true;
        while (!line.empty()) {
            size_t start = line.find_first_not_of(" \t\r");
            if (start == std::string_view::npos) break;
            size_t stop = line.find_first_of(" \t\r", start);
            std::string_view word = line.substr(start, stop == std::string_view::npos ? stop : stop - start);
            line.remove_prefix(stop == std::string_view::npos ? line.size() : stop);
            if (first) {
                address = canonical(word);
                if (address.empty()) break;
                first = false;
                continue;
            }
            std::string name = lower(word);
            out.by_address_.emplace(address, name);
            out.by_name_.emplace(std::move(name), address);
        }
    }
    return out;
}

std::vector<std::string> Hosts::addresses(std::string_view name) const {
    std::vector<std::string> out;
    std::string wanted = lower(name);
    auto [first, last] = by_name_.equal_range(wanted);
    for (auto it = first; it != last; ++it) out.push_back(it->second);
    if (out.empty() && wanted == "localhost") out = {"127.0.0.1", "::1"};
    return out;
}

std::string Hosts::name(std::string_view address) const {
    auto found = by_address_.find(canonical(address));
    return found == by_address_.end() ? std::string() : found->second;
}

}   // namespace postcot::dns
