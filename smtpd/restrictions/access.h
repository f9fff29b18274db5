// access(5): in which order a table is asked, and what its answer means.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "libproto/error.h"
#include "smtpd/restrictions/rule.h"

namespace postcot::smtpd {

// Sets `who` ("<user@example.com>") and `what` ("Sender address"), for the text of a refusal.
Expected<std::optional<std::string>> lookup_access(const Rule& rule, const Service& service, const Context& c,
                                                   std::string& who, std::string& what);

// The domain that a rule's target names: the sender's, the HELO name, the client's name ... Empty when there is none.
std::string target_domain(Target target, const Context& c);
// "<user@example.com>" and "Sender address".
std::pair<std::string, std::string> target_subject(Target target, const Context& c);
// A host name or an address against an access table.
Expected<std::optional<std::string>> find_host(const table::Maps& maps, const Service& service, std::string_view host);
Expected<std::optional<std::string>> find_host_address(const table::Maps& maps, std::string_view address);

struct Action {
    enum class Kind {
        kOk,
        kDunno,
        kReject,
        kDefer,
        kDeferIfPermit,
        kDeferIfReject,
        kDiscard,
        kHold,
        kFilter,
        kPrepend,
        kRedirect,
        kBcc,
        kInfo,
        kWarn,
        kIncomplete,   // FILTER, PREPEND, REDIRECT or BCC without what it needs, which `text` names: passed over, as by Postfix
        kRestrictions,   // names of restrictions
    } kind = Kind::kDunno;
    int code = 0;   // "550 5.7.1 text"
    std::string enhanced;
    std::string text;
};
Action parse_action(std::string_view value);

}   // namespace postcot::smtpd
