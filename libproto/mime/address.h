// RFC 5322 §3.4 address lists, as IMAP's ENVELOPE wants them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postcot::mime {

struct Address {
    enum class Kind { kMailbox, kGroupStart, kGroupEnd } kind = Kind::kMailbox;
    std::string name;      // display name, raw (encoded words kept); group start: its name is in `mailbox`
    std::string route;     // obsolete "@a,@b"; empty
    std::string mailbox;   // local part, unquoted
    std::string host;      // empty: missing (IMAP shows "MISSING_DOMAIN" as Dovecot does)
};
inline constexpr size_t kMaxAddresses = 10000;

// Total: what cannot be read as an address is kept as a mailbox without host.
std::vector<Address> parse_addresses(std::string_view value);

}   // namespace postcot::mime
