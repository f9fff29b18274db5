// Address blocks: "192.0.2.0/24", "2001:db8::/32", "192.0.2.1", "[::1]/128".
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::table {

struct Address {
    int width = 0;   // 32, 128; 0: none
    unsigned char bytes[16] = {};
};
// An IPv4 or IPv6 address; IPv6 may stand in [], with or without "IPv6:". width 0 when it is neither.
Address parse_address(std::string_view text);

struct Block {
    Address network;
    int prefix = 0;
    bool contains(const Address& address) const;
};
// Errors: bad address, mask too long, "non-null host address bits in ...".
Expected<Block> parse_block(std::string_view text);

}   // namespace postcot::table
