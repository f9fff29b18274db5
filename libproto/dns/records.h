// RFC 1035 §3.3: resource data as a resolver hands it over (uncompressed), and names in text. Pure and total.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::dns {

enum class Type : uint16_t {
    kA = 1,
    kNs = 2,
    kCname = 5,
    kSoa = 6,
    kPtr = 12,
    kMx = 15,
    kTxt = 16,
    kAaaa = 28,
    kSrv = 33,
    kTlsa = 52
};
const char* type_name(Type type);   // "MX", "AAAA"

// An exchange name in lower case without a final dot; empty for "." (RFC 7505: null MX).
struct Mx {
    uint16_t preference = 0;
    std::string host;
};

struct Srv {
    uint16_t priority = 0;
    uint16_t weight = 0;
    uint16_t port = 0;
    std::string target;
};

Expected<Mx> parse_mx(std::string_view rdata);
Expected<Srv> parse_srv(std::string_view rdata);
Expected<std::string> parse_name(std::string_view rdata);                 // PTR, CNAME, NS: the whole of rdata
Expected<std::string> parse_txt(std::string_view rdata);                  // character strings joined
Expected<std::string> parse_address(Type type, std::string_view rdata);   // "192.0.2.1", "2001:db8::1"

// "1.2.0.192.in-addr.arpa", "...ip6.arpa" (RFC 3596 §2.5); empty when `address` is none. An IPv4-mapped IPv6 address counts as IPv4.
std::string reverse_name(std::string_view address);

// May it be asked for? Labels of 1 to 63 octets, 253 together; a final dot is fine.
bool is_query_name(std::string_view name);

}   // namespace postcot::dns
