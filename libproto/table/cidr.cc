#include "libproto/table/cidr.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstring>

#include "libproto/config/values.h"

namespace postcot::table {
namespace {

bool bit(const Address& address, int i) { return (address.bytes[i / 8] >> (7 - i % 8)) & 1; }

}   // namespace

Address parse_address(std::string_view text) {
    Address out;
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
    if (text.size() > 5 && (text.starts_with("IPv6:") || text.starts_with("ipv6:"))) text.remove_prefix(5);
    if (text.size() >= INET6_ADDRSTRLEN) return out;
    std::string copy(text);
    if (::inet_pton(AF_INET, copy.c_str(), out.bytes) == 1) {
        out.width = 32;
    } else if (::inet_pton(AF_INET6, copy.c_str(), out.bytes) == 1) {
        out.width = 128;
        static constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        if (std::memcmp(out.bytes, kMapped, sizeof kMapped) == 0) {   // ::ffff:192.0.2.1 is the IPv4 address
            std::memmove(out.bytes, out.bytes + 12, 4);
            out.width = 32;
        }
    }
    return out;
}

bool Block::contains(const Address& address) const {
    if (address.width != network.width) return false;
    int whole = prefix / 8;
    if (std::memcmp(address.bytes, network.bytes, static_cast<size_t>(whole)) != 0) return false;
    int rest = prefix % 8;
    return rest == 0 || (address.bytes[whole] ^ network.bytes[whole]) >> (8 - rest) == 0;
}

Expected<Block> parse_block(std::string_view text) {
    Block out;
    size_t slash = text.find('/');
    out.network = parse_address(text.substr(0, slash));
    if (out.network.width == 0) return fail(EINVAL, "bad address pattern: \"" + std::string(text) + '"');
    out.prefix = out.network.width;
    if (slash == std::string_view::npos) return out;
    int64_t prefix = 0;
    // A block of IPv4-mapped addresses is the IPv4 block: Debian writes [::ffff:127.0.0.0]/104 into mynetworks.
    bool mapped = out.network.width == 32 && text.find(':') < slash;
    int widest = mapped ? 128 : out.network.width;
    if (!config::parse_number(text.substr(slash + 1), prefix) || prefix < (mapped ? 96 : 0) || prefix > widest) {
        return fail(EINVAL, "bad net/mask pattern: \"" + std::string(text) + '"');
    }
    out.prefix = static_cast<int>(mapped ? prefix - 96 : prefix);
    for (int i = out.prefix; i < out.network.width; ++i) {
        if (bit(out.network, i)) return fail(EINVAL, "non-null host address bits in \"" + std::string(text) + '"');
    }
    return out;
}

}   // namespace postcot::table
