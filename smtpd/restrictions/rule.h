// One compiled restriction.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/dns/records.h"
#include "libproto/error.h"
#include "libproto/table/table.h"
#include "smtpd/restrictions/policy.h"
#include "smtpd/restrictions/restrictions.h"

namespace postcot::smtpd {

enum class Op : uint8_t {
    kPermit,
    kReject,
    kDefer,
    kDeferIfPermit,
    kDeferIfReject,
    kSleep,
    kPermitMynetworks,
    kPermitSaslAuthenticated,
    kPermitInetInterfaces,
    kPermitAuthDestination,
    kRejectUnauthDestination,
    kDeferUnauthDestination,
    kRejectUnauthPipelining,
    kRejectPlaintextSession,
    kRejectMultiRecipientBounce,
    kRejectUnlistedRecipient,
    kRejectUnlistedSender,
    kRejectInvalidHelo,
    kRejectNonFqdnHelo,
    kRejectUnknownHelo,
    kRejectNonFqdnSender,
    kRejectNonFqdnRecipient,
    kRejectUnknownSenderDomain,
    kRejectUnknownRecipientDomain,
    kRejectUnknownClient,
    kRejectUnknownReverseClient,
    kRejectLoginMismatch,
    kRejectAuthenticatedLoginMismatch,
    kRejectUnauthenticatedLoginMismatch,
    kRejectKnownLoginMismatch,
    kAccess,
    kHostAccess,
    kRejectRbl,
    kPermitDnswl,
    kRejectRhsbl,
    kPermitRhswl,
    kPolicyService,
    kClass,
};

enum class Target : uint8_t { kNone, kClient, kReverseClient, kHelo, kSender, kRecipient, kEtrn, kSasl };

struct Rule {
    Op op = Op::kPermit;
    Target target = Target::kNone;
    bool warn = false;                             // warn_if_reject came before it
    std::string name;                              // as written
    std::string argument;                          // "type:table" or "unix:private/policy"
    dns::Type record = dns::Type::kA;              // kHostAccess: whose names and addresses are looked up
    table::Maps maps;                              // kAccess, kHostAccess
    std::chrono::seconds delay{0};                 // kSleep
    std::vector<Rule> nested;                      // kClass
    std::shared_ptr<const PolicyService> policy;   // kPolicyService; rules are copied
};

// Compiles "permit_mynetworks, check_sender_access hash:/etc/postfix/x, reject". `bare_table`: what a table without a restriction name
// in front of it is asked about. The error names `parameter` and the word that is unknown or not supported.
Expected<std::vector<Rule>> compile_rules(std::string_view value, const config::MainCf& main,
                                          std::string_view parameter, Target bare_table, int depth = 0);

// Could these rules stop a message to anywhere (reject_unauth_destination and its kin)?
bool stops_relaying(const std::vector<Rule>& rules);

}   // namespace postcot::smtpd
