// access(5): in which order a table is asked, and what its answer means.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libproto/error.h"
#include "smtpd/restrictions/rule.h"

namespace postcot::smtpd {

// Sets `who` ("<user@example.com>") and `what` ("Sender address"), for the text of a refusal.
Expected<std::optional<std::string>> lookup_access(const Rule& rule, const Service& service, const Context& c,
                                                   std::string& who, std::string& what);

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
        kRestrictions,   // names of restrictions
    } kind = Kind::kDunno;
    int code = 0;   // "550 5.7.1 text"
    std::string enhanced;
    std::string text;
};
Action parse_action(std::string_view value);

}   // namespace postcot::smtpd
