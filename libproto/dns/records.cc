#include "libproto/dns/records.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace postcot::dns {

namespace {

constexpr size_t kMaxName = 255;   // RFC 1035 §3.1

tl::unexpected<Error> malformed(const char* what) { return fail(EPROTO, std::string("malformed ") + what + " record"); }

uint16_t u16(std::string_view data, size_t at) {
    return static_cast<uint16_t>(static_cast<unsigned char>(data[at]) << 8 | static_cast<unsigned char>(data[at + 1]));
}

// Takes a name off the front of `data`.
Expected<std::string> take_name(std::string_view& data, const char* what) {
    std::string out;
    size_t total = 0;
    for (;;) {
        if (data.empty()) return malformed(what);
        auto length = static_cast<unsigned char>(data[0]);
        if (length > 63) return malformed(what);   // a compression pointer has no meaning here
        if (data.size() < length + 1u || (total += length + 1u) > kMaxName) return malformed(what);
        if (length == 0) {
            data.remove_prefix(1);
            return out;
        }
        if (!out.empty()) out += '.';
        for (char c : data.substr(1, length)) {
            // A name goes into logs, headers and further queries: nothing in a label may look like structure.
            auto u = static_cast<unsigned char>(c);
            if (u <= 32 || u >= 127 || c == '.' || c == '\\') return malformed(what);
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        }
        data.remove_prefix(length + 1u);
    }
}

}   // namespace

const char* type_name(Type type) {
    switch (type) {
        case Type::kA: return "A";
        case Type::kNs: return "NS";
        case Type::kCname: return "CNAME";
        case Type::kSoa: return "SOA";
        case Type::kPtr: return "PTR";
        case Type::kMx: return "MX";
        case Type::kTxt: return "TXT";
        case Type::kAaaa: return "AAAA";
        case Type::kSrv: return "SRV";
        case Type::kTlsa: return "TLSA";
    }
    return "?";
}

Expected<Mx> parse_mx(std::string_view rdata) {
    if (rdata.size() < 3) return malformed("MX");
    Mx out;
    out.preference = u16(rdata, 0);
    rdata.remove_prefix(2);
    auto host = take_name(rdata, "MX");
    if (!host) return fail(host.error());
    if (!rdata.empty()) return malformed("MX");
    out.host = std::move(*host);
    return out;
}

Expected<Srv> parse_srv(std::string_view rdata) {
    if (rdata.size() < 7) return malformed("SRV");
    Srv out;
    out.priority = u16(rdata, 0);
    out.weight = u16(rdata, 2);
    out.port = u16(rdata, 4);
    rdata.remove_prefix(6);
    auto target = take_name(rdata, "SRV");
    if (!target) return fail(target.error());
    if (!rdata.empty()) return malformed("SRV");
    out.target = std::move(*target);
    return out;
}

Expected<std::string> parse_name(std::string_view rdata) {
    auto name = take_name(rdata, "name");
    if (name && !rdata.empty()) return malformed("name");
    return name;
}

Expected<std::string> parse_txt(std::string_view rdata) {
    std::string out;
    while (!rdata.empty()) {
        auto length = static_cast<unsigned char>(rdata[0]);
        if (rdata.size() < length + 1u) return malformed("TXT");
        out += rdata.substr(1, length);
        rdata.remove_prefix(length + 1u);
    }
    return out;
}

Expected<std::string> parse_address(Type type, std::string_view rdata) {
    bool six = type == Type::kAaaa;
    char text[INET6_ADDRSTRLEN];
    if (rdata.size() != (six ? 16u : 4u) || !inet_ntop(six ? AF_INET6 : AF_INET, rdata.data(), text, sizeof text))
        return malformed(type_name(type));
    return std::string(text);
}

std::string reverse_name(std::string_view address) {
    std::string text(address);
    unsigned char bytes[16];
    if (inet_pton(AF_INET, text.c_str(), bytes) == 1)
        return fmt::format("{}.{}.{}.{}.in-addr.arpa", bytes[3], bytes[2], bytes[1], bytes[0]);
    if (inet_pton(AF_INET6, text.c_str(), bytes) != 1) return {};
    constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::memcmp(bytes, kMapped, sizeof kMapped) == 0)
        return fmt::format("{}.{}.{}.{}.in-addr.arpa", bytes[15], bytes[14], bytes[13], bytes[12]);
    std::string out;
    for (int i = 15; i >= 0; --i) out += fmt::format("{:x}.{:x}.", bytes[i] & 15, bytes[i] >> 4);
    return out + "ip6.arpa";
}

bool is_query_name(std::string_view name) {
    if (!name.empty() && name.back() == '.') name.remove_suffix(1);
    if (name.empty() || name.size() > 253) return false;
    size_t label = 0;
    for (char c : name) {
        auto u = static_cast<unsigned char>(c);
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
        } else {
            if (u <= 32 || u >= 127 || c == '\\' || ++label > 63) return false;
        }
    }
    return label > 0;
}

}   // namespace postcot::dns
