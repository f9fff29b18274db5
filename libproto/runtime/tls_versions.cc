#include "libproto/runtime/tls_versions.h"

#include <strings.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>

namespace postcot {
namespace {

struct Version {
    std::string_view name;
    int number;
};
constexpr Version kVersions[] = {{"SSLv2", 0x0002},   {"SSLv3", 0x0300},   {"TLSv1", 0x0301},
                                 {"TLSv1.1", 0x0302}, {"TLSv1.2", 0x0303}, {"TLSv1.3", 0x0304}};

std::optional<int> by_name(std::string_view word) {
    for (const auto& version : kVersions) {
        if (word.size() == version.name.size() && strncasecmp(word.data(), version.name.data(), word.size()) == 0)
            return version.number;
    }
    return std::nullopt;
}

// A bound may be a name or the number in hexadecimal, so that a version newer than this program can be named.
std::optional<int> bound(std::string_view word) {
    if (auto named = by_name(word)) return *named == 0x0002 ? std::nullopt : named;
    if (word.starts_with("0x") || word.starts_with("0X")) word.remove_prefix(2);
    int number = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number, 16);
    if (word.empty() || error != std::errc() || end != word.data() + word.size() || number < 0 || number > 0xFFFF)
        return std::nullopt;
    return number;
}

}   // namespace

bool TlsVersions::allow(int version) const {
    if (floor && version < floor) return false;
    if (ceiling && version > ceiling) return false;
    return std::find(excluded.begin(), excluded.end(), version) == excluded.end();
}

bool TlsVersions::none() const {
    return std::none_of(std::begin(kVersions), std::end(kVersions),
                        [this](const Version& v) { return v.number >= 0x0301 && allow(v.number); });
}

Expected<TlsVersions> parse_tls_protocols(std::string_view list) {
    TlsVersions out;
    std::vector<int> included;
    constexpr std::string_view kBetween = " \t\r\n,:";
    for (std::string_view rest = list;;) {
        const size_t start = rest.find_first_not_of(kBetween);
        if (start == std::string_view::npos) break;
        rest.remove_prefix(start);
        auto word = rest.substr(0, rest.find_first_of(kBetween));
        rest.remove_prefix(word.size());
        const bool excludes = word.starts_with('!'), from = word.starts_with(">="), to = word.starts_with("<=");
        word.remove_prefix(excludes ? 1 : from || to ? 2 : 0);
        const auto version = from || to ? bound(word) : by_name(word);
        if (!version) return fail(EINVAL, "Invalid TLS protocol list \"" + std::string(list) + '"');
        if (from) {
            out.floor = *version;
        } else if (to) {
            out.ceiling = *version;
        } else {
            (excludes ? out.excluded : included).push_back(*version);
        }
    }
    if (!included.empty()) {
        for (const auto& version : kVersions) {
            if (std::find(included.begin(), included.end(), version.number) == included.end())
                out.excluded.push_back(version.number);
        }
    }
    return out;
}

}   // namespace postcot
