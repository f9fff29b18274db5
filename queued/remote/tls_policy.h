// TLS_README: how one destination is spoken to: smtp_tls_policy_maps, else smtp_tls_security_level.
#pragma once

#include "queued/remote/failure.h"
#include "queued/remote/nexthop.h"
#include "queued/remote/session.h"
#include "queued/remote/transport.h"

namespace postcot::queued {

// What a policy table's entry says: "secure match=nexthop protocols=TLSv1.3 ciphers=high". Unset: as main.cf has it.
struct TlsPolicy {
    std::string level;
    std::optional<TlsVersions> versions;
    std::optional<std::string> ciphers;
    std::vector<std::string> exclude;
    std::optional<std::vector<std::string>> match;
    std::optional<std::string> server_name;
};
// Attributes that Postfix does not have, or whose meaning we could not keep to, are errors: the mail waits.
Expected<TlsPolicy> parse_tls_policy(std::string_view entry);

tl::expected<TlsPlan, Failure> tls_plan(RemoteTransport& transport, const Nexthop& nexthop, const Host& host);

}   // namespace postcot::queued
