#include <algorithm>
#include <cerrno>

#include "libproto/smtp/text.h"
#include "smtpd/restrictions/rule.h"

namespace postcot::smtpd {
namespace {

struct Known {
    const char* name;
    Op op;
    bool argument = false;
    Target target = Target::kNone;
    dns::Type record = dns::Type::kA;
};

// One line per restriction, the obsolete spellings included.
constexpr Known kKnown[] = {
    {"permit", Op::kPermit},
    {"reject", Op::kReject},
    {"defer", Op::kDefer},
    {"defer_if_permit", Op::kDeferIfPermit},
    {"defer_if_reject", Op::kDeferIfReject},
    {"sleep", Op::kSleep, true},
    {"permit_mynetworks", Op::kPermitMynetworks},
    {"permit_sasl_authenticated", Op::kPermitSaslAuthenticated},
    {"permit_inet_interfaces", Op::kPermitInetInterfaces},
    {"permit_auth_destination", Op::kPermitAuthDestination},
    {"reject_unauth_destination", Op::kRejectUnauthDestination},
    {"check_relay_domains", Op::kRejectUnauthDestination},
    {"defer_unauth_destination", Op::kDeferUnauthDestination},
    {"reject_unauth_pipelining", Op::kRejectUnauthPipelining},
    {"reject_plaintext_session", Op::kRejectPlaintextSession},
    {"reject_multi_recipient_bounce", Op::kRejectMultiRecipientBounce},
    {"reject_unlisted_recipient", Op::kRejectUnlistedRecipient},
    {"check_recipient_maps", Op::kRejectUnlistedRecipient},
    {"reject_unlisted_sender", Op::kRejectUnlistedSender},
    {"reject_invalid_helo_hostname", Op::kRejectInvalidHelo},
    {"reject_invalid_hostname", Op::kRejectInvalidHelo},
    {"reject_non_fqdn_helo_hostname", Op::kRejectNonFqdnHelo},
    {"reject_non_fqdn_hostname", Op::kRejectNonFqdnHelo},
    {"reject_unknown_helo_hostname", Op::kRejectUnknownHelo},
    {"reject_unknown_hostname", Op::kRejectUnknownHelo},
    {"reject_non_fqdn_sender", Op::kRejectNonFqdnSender},
    {"reject_non_fqdn_recipient", Op::kRejectNonFqdnRecipient},
    {"reject_unknown_sender_domain", Op::kRejectUnknownSenderDomain},
    {"reject_unknown_address", Op::kRejectUnknownSenderDomain},
    {"reject_unknown_recipient_domain", Op::kRejectUnknownRecipientDomain},
    {"reject_unknown_client_hostname", Op::kRejectUnknownClient},
    {"reject_unknown_client", Op::kRejectUnknownClient},
    {"reject_unknown_reverse_client_hostname", Op::kRejectUnknownReverseClient},
    {"reject_sender_login_mismatch", Op::kRejectLoginMismatch},
    {"reject_authenticated_sender_login_mismatch", Op::kRejectAuthenticatedLoginMismatch},
    {"reject_unauthenticated_sender_login_mismatch", Op::kRejectUnauthenticatedLoginMismatch},
    {"reject_known_sender_login_mismatch", Op::kRejectKnownLoginMismatch},
    {"check_client_access", Op::kAccess, true, Target::kClient},
    {"check_reverse_client_hostname_access", Op::kAccess, true, Target::kReverseClient},
    {"check_helo_access", Op::kAccess, true, Target::kHelo},
    {"check_sender_access", Op::kAccess, true, Target::kSender},
    {"check_recipient_access", Op::kAccess, true, Target::kRecipient},
    {"check_etrn_access", Op::kAccess, true, Target::kEtrn},
    {"check_sasl_access", Op::kAccess, true, Target::kSasl},
    {"check_client_a_access", Op::kHostAccess, true, Target::kClient, dns::Type::kA},
    {"check_client_mx_access", Op::kHostAccess, true, Target::kClient, dns::Type::kMx},
    {"check_client_ns_access", Op::kHostAccess, true, Target::kClient, dns::Type::kNs},
    {"check_reverse_client_hostname_a_access", Op::kHostAccess, true, Target::kReverseClient, dns::Type::kA},
    {"check_reverse_client_hostname_mx_access", Op::kHostAccess, true, Target::kReverseClient, dns::Type::kMx},
    {"check_reverse_client_hostname_ns_access", Op::kHostAccess, true, Target::kReverseClient, dns::Type::kNs},
    {"check_helo_a_access", Op::kHostAccess, true, Target::kHelo, dns::Type::kA},
    {"check_helo_mx_access", Op::kHostAccess, true, Target::kHelo, dns::Type::kMx},
    {"check_helo_ns_access", Op::kHostAccess, true, Target::kHelo, dns::Type::kNs},
    {"check_sender_a_access", Op::kHostAccess, true, Target::kSender, dns::Type::kA},
    {"check_sender_mx_access", Op::kHostAccess, true, Target::kSender, dns::Type::kMx},
    {"check_sender_ns_access", Op::kHostAccess, true, Target::kSender, dns::Type::kNs},
    {"check_recipient_a_access", Op::kHostAccess, true, Target::kRecipient, dns::Type::kA},
    {"check_recipient_mx_access", Op::kHostAccess, true, Target::kRecipient, dns::Type::kMx},
    {"check_recipient_ns_access", Op::kHostAccess, true, Target::kRecipient, dns::Type::kNs},
    {"reject_rbl_client", Op::kRejectRbl, true, Target::kClient},
    {"permit_dnswl_client", Op::kPermitDnswl, true, Target::kClient},
    {"reject_rhsbl_client", Op::kRejectRhsbl, true, Target::kClient},
    {"reject_rhsbl_reverse_client", Op::kRejectRhsbl, true, Target::kReverseClient},
    {"reject_rhsbl_helo", Op::kRejectRhsbl, true, Target::kHelo},
    {"reject_rhsbl_sender", Op::kRejectRhsbl, true, Target::kSender},
    {"reject_rhsbl_recipient", Op::kRejectRhsbl, true, Target::kRecipient},
    {"permit_rhswl_client", Op::kPermitRhswl, true, Target::kClient},
    {"check_policy_service", Op::kPolicyService, true},
};

// Postfix has these, we do not yet: named so that nobody is told they are misspelt.
constexpr const char* kNotYet[] = {
    "reject_maps_rbl",    "permit_mx_backup",         "permit_tls_clientcerts",      "permit_tls_all_clientcerts",
    "check_ccert_access", "reject_unverified_sender", "reject_unverified_recipient", "permit_naked_ip_address"};

constexpr int kMaxDepth = 20;   // restriction classes inside each other

// Words separated by commas and white space; { } keeps a group together (without its braces), inline:{...} stays whole.
std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> out;
    std::string word;
    int depth = 0;
    for (char c : text) {
        const bool separator = c == ',' || smtp::is_space(c) || c == '\n' || c == '\r';
        if (depth == 0 && separator) {
            if (!word.empty()) out.push_back(std::move(word));
            word.clear();
            continue;
        }
        if (c == '{') ++depth;
        if (c == '}') --depth;
        word += c;
    }
    if (!word.empty()) out.push_back(std::move(word));
    for (auto& w : out) {   // "{ check_policy_service unix:x }"
        if (w.size() > 2 && w.front() == '{' && w.back() == '}') w = std::string(smtp::trim(w.substr(1, w.size() - 2)));
    }
    return out;
}

}   // namespace

Expected<std::vector<Rule>> compile_rules(std::string_view value, const config::MainCf& main,
                                          std::string_view parameter, Target bare_table, int depth) {
    auto refuse = [&](std::string text) { return fail(EINVAL, std::string(parameter) + ": " + text); };
    if (depth > kMaxDepth) return refuse("restriction classes nested too deeply");
    std::vector<Rule> out;
    const auto classes = main.list("smtpd_restriction_classes");
    const auto words = split_words(value);
    bool warn = false;
    for (size_t i = 0; i < words.size(); ++i) {
        const auto& word = words[i];
        const auto name = smtp::lower(word);
        if (name == "warn_if_reject") {
            warn = true;
            continue;
        }
        Rule rule;
        rule.name = word;
        rule.warn = warn;
        warn = false;
        const auto* known =
            std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& k) { return name == k.name; });
        if (known != std::end(kKnown)) {
            rule.op = known->op;
            rule.target = known->target;
            rule.record = known->record;
            if (known->argument) {
                if (i + 1 >= words.size()) return refuse("missing argument after " + word);
                rule.argument = words[++i];
            }
        } else if (std::find(classes.begin(), classes.end(), word) != classes.end()) {
            rule.op = Op::kClass;
            auto nested = compile_rules(main.str(word), main, word, bare_table, depth + 1);
            if (!nested) return fail(std::move(nested.error()));
            rule.nested = std::move(*nested);
        } else if (std::find(std::begin(kNotYet), std::end(kNotYet), name) != std::end(kNotYet)) {
            return refuse("restriction \"" + word + "\" is not supported yet");
        } else if (word.find(':') != std::string::npos) {   // a bare table: check_xxx_access of the list's own kind
            rule.op = Op::kAccess;
            rule.target = bare_table;
            rule.argument = word;
        } else {
            return refuse("unknown smtpd restriction: \"" + word + "\"");
        }
        if (rule.op == Op::kAccess || rule.op == Op::kHostAccess) {
            if (rule.argument.find(':') == std::string::npos) return refuse("expected type:table after " + word);
            auto maps = table::Maps::open(rule.argument, main, parameter);
            if (!maps) return fail(std::move(maps.error()));
            rule.maps = std::move(*maps);
        }
        if (rule.op == Op::kPolicyService) {
            auto policy = parse_policy_service(rule.argument, main);
            if (!policy) return refuse(policy.error().text);
            rule.policy = std::make_shared<const PolicyService>(std::move(*policy));
        }
        if (rule.op == Op::kSleep) {
            auto delay = config::parse_time(rule.argument);
            if (!delay) return refuse("bad time after sleep: \"" + rule.argument + "\"");
            rule.delay = *delay;
        }
        out.push_back(std::move(rule));
    }
    if (warn) return refuse("warn_if_reject: missing restriction after it");
    return out;
}

bool stops_relaying(const std::vector<Rule>& rules) {
    return std::any_of(rules.begin(), rules.end(), [](const Rule& rule) {
        if (rule.warn) return false;
        switch (rule.op) {
            case Op::kReject:
            case Op::kDefer:
            case Op::kDeferIfPermit:
            case Op::kRejectUnauthDestination:
            case Op::kDeferUnauthDestination: return true;
            case Op::kClass: return stops_relaying(rule.nested);
            default: return false;
        }
    });
}

}   // namespace postcot::smtpd
