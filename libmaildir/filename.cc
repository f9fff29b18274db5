#include "libmaildir/filename.h"

#include <fmt/format.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <utility>

namespace postcot::maildir {

namespace {

std::string_view info_of(std::string_view name) {
    size_t colon = name.find(':');
    if (colon == std::string_view::npos || name.substr(colon, 3) != ":2,") return {};
    return name.substr(colon + 3);
}

uint8_t system_flag(char letter) {
    switch (letter) {
        case 'D': return kDraft;
        case 'F': return kFlagged;
        case 'R': return kAnswered;
        case 'S': return kSeen;
        case 'T': return kDeleted;
        default: return 0;
    }
}

}   // namespace

std::string_view base_of(std::string_view name) { return name.substr(0, name.find(':')); }

FlagSet flags_of(std::string_view name) {
    FlagSet flags;
    for (char c : info_of(name)) {
        if (c >= 'a' && c <= 'z') {
            flags.keywords |= 1U << (c - 'a');
        } else {
            flags.system |= system_flag(c);
        }
    }
    return flags;
}

std::string with_flags(std::string_view name, FlagSet flags) {
    std::string letters;
    for (char c : info_of(name))
        if (!(c >= 'a' && c <= 'z') && system_flag(c) == 0) letters += c;
    for (char c : {'D', 'F', 'R', 'S', 'T'})
        if (flags.system & system_flag(c)) letters += c;
    for (int i = 0; i < kMaxKeywords; ++i)
        if (flags.keywords & (1U << i)) letters += static_cast<char>('a' + i);
    std::sort(letters.begin(), letters.end());
    std::string out(base_of(name));
    out += ":2,";
    out += letters;
    return out;
}

std::optional<uint64_t> size_field(std::string_view base, char field) {
    const char key[] = {',', field, '='};
    size_t at = base.find(std::string_view(key, 3));
    if (at == std::string_view::npos) return std::nullopt;
    uint64_t n = 0;
    size_t i = at + 3;
    for (; i < base.size() && base[i] >= '0' && base[i] <= '9' && i < at + 20; ++i)
        n = n * 10 + static_cast<uint64_t>(base[i] - '0');
    if (i == at + 3 || (i < base.size() && base[i] != ',' && base[i] != ':')) return std::nullopt;
    return n;
}

namespace {

// "1795525492.M55062P..." -> 1795525492 and 55062. A name that does not begin with a time comes first.
std::pair<uint64_t, uint64_t> delivery_time(std::string_view name) {
    uint64_t seconds = 0, microseconds = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), seconds);
    if (error != std::errc{}) return {0, 0};
    name.remove_prefix(static_cast<size_t>(end - name.data()));
    if (name.starts_with(".M")) std::from_chars(name.data() + 2, name.data() + name.size(), microseconds);
    return {seconds, microseconds};
}

}   // namespace

bool delivered_before(std::string_view a, std::string_view b) {
    auto x = delivery_time(a), y = delivery_time(b);
    return x != y ? x < y : a < b;
}

std::string unique_name() {
    static std::atomic<unsigned> counter{0};
    static const std::string host = [] {
        char name[256] = "";
        ::gethostname(name, sizeof name - 1);
        std::string out;
        for (const char* p = name; *p; ++p) {   // maildir(5): '/' and ':' may not stand in a file name
            if (*p == '/') {
                out += "\\057";
            } else if (*p == ':') {
                out += "\\072";
            } else {
                out += *p;
            }
        }
        return out.empty() ? std::string("localhost") : out;
    }();
    timeval now{};
    ::gettimeofday(&now, nullptr);
    return fmt::format("{}.M{}P{}Q{}.{}", now.tv_sec, now.tv_usec, ::getpid(), ++counter, host);
}

}   // namespace postcot::maildir
