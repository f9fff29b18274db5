// Filters that main.cf and master.cf name and that nobody here runs: milters, header and body checks, the before-queue proxy. A filter that cannot
// answer never lets mail through: mail waits, or what milter_default_action says for a milter.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libproto/config/postfix.h"

namespace postcot::config {

enum class Unfiltered : uint8_t {
    kPass,            // milter_default_action = accept
    kDefer,           // tempfail, the default; every other kind of filter
    kReject,          // reject
    kHold,            // quarantine
    kMisconfigured,   // an action that Postfix does not know either: 451 4.3.5 there
};

struct MissingFilter {
    Unfiltered outcome = Unfiltered::kPass;
    std::string parameter;   // "smtpd_milters"; empty: no filter is missing
    std::string filter;      // "inet:localhost:8891", "pcre:/etc/postfix/header_checks"

    bool waits() const { return outcome == Unfiltered::kDefer || outcome == Unfiltered::kMisconfigured; }
    // "header_checks (pcre:/etc/postfix/header_checks) is not served: mail waits"
    std::string reason() const;
};

// Of a list in the form of smtpd_milters: the first one that does not say accept. `service` gives milter_default_action; an element
// "{ inet:host:port, default_action=accept }" has its own.
MissingFilter missing_milter(const MainCf& service, std::string_view parameter, std::string_view list);
inline MissingFilter missing_milter(const MainCf& service, std::string_view parameter) {
    return missing_milter(service, parameter, service.str(parameter));
}
// header_checks, mime_header_checks, nested_header_checks, body_checks: of a cleanup service.
MissingFilter missing_checks(const MainCf& cleanup);
// smtp_header_checks, lmtp_body_checks ...: of a transport whose program is smtp(8) or lmtp(8); nothing of others.
MissingFilter missing_client_checks(const MainCf& transport, std::string_view command);

// For the list of what is not served: what becomes of mail because `parameter` is set to `value`, and the way out. Empty when it names no filter.
std::string unserved_filter(const MainCf& service, std::string_view parameter, std::string_view value);

}   // namespace postcot::config
