// doveadm who: who is logged in, as the parents of imapd and pop3d tell on their who sockets (ipc/who.h).
#include "libproto/ipc/who.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"
#include "tools/doveadm/doveadm.h"

namespace postcot::doveadm {

namespace {

constexpr size_t kMaxLine = 64 * 1024;

Task<Expected<std::vector<ipc::WhoEntry>>> ask(std::string path) {
    auto address = SockAddr::unix_path(path);
    if (!address) co_return fail(address.error());
    auto fd = co_await connect_to(*address, Millis(10000));
    if (!fd) co_return fail(fd.error());
    Stream stream(std::move(*fd));
    std::vector<ipc::WhoEntry> entries;
    for (;;) {
        auto line = co_await stream.read_line(kMaxLine, Millis(10000));
        if (!line && line.error().code == ENODATA) co_return entries;
        if (!line) co_return fail(line.error());
        auto entry = ipc::parse_who(line->text);
        if (!entry) co_return fail(entry.error());
        entries.push_back(std::move(*entry));
    }
}

// '*' and '?'.
bool matches(std::string_view text, std::string_view mask) {
    if (mask.empty()) return text.empty();
    if (mask[0] == '*') {
        for (size_t i = 0; i <= text.size(); ++i) {
            if (matches(text.substr(i), mask.substr(1))) return true;
        }
        return false;
    }
    return !text.empty() && (mask[0] == '?' || mask[0] == text[0]) && matches(text.substr(1), mask.substr(1));
}

struct Filter {
    std::string user;
    std::string net;   // "192.0.2.0/24" or an address

    bool takes(const ipc::WhoEntry& entry) const {
        if (!user.empty() && !matches(entry.user, user)) return false;
        if (net.empty()) return true;
        auto slash = net.find('/');
        unsigned char a[16], b[16];
        int family = net.find(':') == std::string::npos ? AF_INET : AF_INET6;
        if (inet_pton(family, net.substr(0, slash).c_str(), a) != 1 ||
            inet_pton(family, entry.remote_address.c_str(), b) != 1)
            return false;
        unsigned bits = family == AF_INET ? 32 : 128;
        if (slash != std::string::npos)
            bits = std::min(bits, static_cast<unsigned>(std::atoi(net.c_str() + slash + 1)));
        if (std::memcmp(a, b, bits / 8) != 0) return false;
        unsigned rest = bits % 8;
        return rest == 0 || (a[bits / 8] >> (8 - rest)) == (b[bits / 8] >> (8 - rest));
    }
};

bool is_network(const std::string& text) {
    unsigned char address[16];
    std::string host = text.substr(0, text.find('/'));
    return inet_pton(AF_INET, host.c_str(), address) == 1 || inet_pton(AF_INET6, host.c_str(), address) == 1;
}

std::string joined(const std::set<std::string>& words) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
    return "(" + out + ")";
}

void print_separate(Context& context, const std::vector<ipc::WhoEntry>& entries) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& entry : entries) {
        for (uint32_t i = 0; i < entry.connections; ++i) {
            std::string pid =
                entry.pids.empty() ? "" : std::to_string(entry.pids[std::min<size_t>(i, entry.pids.size() - 1)]);
            rows.push_back({entry.user, entry.service, pid, entry.remote_address});
        }
    }
    print_table(context.format, {{"username"}, {"proto"}, {"pid"}, {"ip"}}, rows);
}

void print_together(Context& context, const std::vector<ipc::WhoEntry>& entries) {
    struct Sum {
        uint32_t connections = 0;
        std::set<std::string> pids, addresses;
    };
    std::map<std::pair<std::string, std::string>, Sum> sums;
    for (const auto& entry : entries) {
        auto& sum = sums[{entry.user, entry.service}];
        sum.connections += entry.connections;
        for (uint32_t pid : entry.pids) sum.pids.insert(std::to_string(pid));
        if (!entry.remote_address.empty()) sum.addresses.insert(entry.remote_address);
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& [key, sum] : sums) {
        rows.push_back(
            {key.first, std::to_string(sum.connections), key.second, joined(sum.pids), joined(sum.addresses)});
    }
    print_table(context.format, {{"username"}, {"#", true}, {"proto"}, {"(pids)"}, {"(ips)"}}, rows);
}

}   // namespace

int who(Context& context, const Arguments& arguments) {
    Options options;
    const char* usage = "who [-1] [<user mask>] [<ip/bits>]";
    if (!parse_options(arguments, "1", "", usage, options)) return EX_USAGE;
    Filter filter;
    for (const auto& word : options.rest) {
        if (is_network(word) && filter.net.empty())
            filter.net = word;
        else if (filter.user.empty())
            filter.user = word;
        else {
            std::fprintf(stderr, "usage: doveadm %s\n", usage);
            return EX_USAGE;
        }
    }
    std::vector<ipc::WhoEntry> entries;
    size_t answered = 0;
    std::string last_error;
    Loop loop;
    for (const char* service : {"imap", "pop3"}) {
        std::string path = context.socket(ipc::who_socket_name(service));
        auto found = loop.run_until_complete(ask(path));
        if (!found) {
            last_error = path + ": " + found.error().text;
            // A protocol that is not served has no socket.
            if (found.error().code != ENOENT && found.error().code != ECONNREFUSED) error(last_error);
            continue;
        }
        ++answered;
        for (auto& entry : *found) {
            if (filter.takes(entry)) entries.push_back(std::move(entry));
        }
    }
    if (answered == 0) {
        error("neither imapd nor pop3d answers: " + last_error);
        return EX_TEMPFAIL;
    }
    options.has('1') ? print_separate(context, entries) : print_together(context, entries);
    return 0;
}

}   // namespace postcot::doveadm
