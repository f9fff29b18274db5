// Which TLS versions may be spoken, and the language in which Postfix's *_tls_protocols say it. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot {

// Numbers as on the wire (RFC 8446 §4.2.1): 0x0301 is TLS 1.0, 0x0304 TLS 1.3. 0 in floor or ceiling: whatever the library has.
struct TlsVersions {
    int floor = 0, ceiling = 0;
    std::vector<int> excluded;

    bool allow(int version) const;
    bool none() const;   // nothing of 1.0 to 1.3 is left
    bool operator==(const TlsVersions&) const = default;
};

constexpr int kTls12 = 0x0303;

// postconf(5), smtpd_tls_mandatory_protocols: ">=TLSv1.2", "<=0304", "!TLSv1, !TLSv1.1" in any order and mixture; a name alone includes it and
// excludes all that are not named. Names in any case; words end at white space, commas and colons. The error quotes the list.
Expected<TlsVersions> parse_tls_protocols(std::string_view list);

}   // namespace postcot
