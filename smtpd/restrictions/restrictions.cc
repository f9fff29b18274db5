#include "smtpd/restrictions/restrictions.h"

#include <algorithm>
#include <cerrno>

#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"
#include "libproto/smtp/text.h"
#include "smtpd/host_names.h"
#include "smtpd/log_lines.h"
#include "smtpd/restrictions/access.h"
#include "smtpd/restrictions/policy.h"
#include "smtpd/restrictions/rule.h"

namespace postcot::smtpd {

std::string Context::protocol() const {
    if (service->lmtp) return "LMTP";
    return extended ? "ESMTP" : "SMTP";
}

Verdict Verdict::reject(int code, std::string_view enhanced, std::string text) {
    Verdict v{Kind::kReject, code, std::string(enhanced), std::move(text)};
    if (v.enhanced.size() > 1 && (v.enhanced[0] == '4' || v.enhanced[0] == '5'))
        v.enhanced[0] = code >= 500 ? '5' : '4';
    return v;
}

namespace {

struct ListSpec {
    Stage stage;
    const char* parameter;
    Target bare_table;
};
constexpr ListSpec kLists[] = {
    {Stage::kClient, "smtpd_client_restrictions", Target::kClient},
    {Stage::kHelo, "smtpd_helo_restrictions", Target::kHelo},
    {Stage::kSender, "smtpd_sender_restrictions", Target::kSender},
    {Stage::kRelay, "smtpd_relay_restrictions", Target::kRecipient},
    {Stage::kRecipient, "smtpd_recipient_restrictions", Target::kRecipient},
    {Stage::kData, "smtpd_data_restrictions", Target::kNone},
    {Stage::kEndOfData, "smtpd_end_of_data_restrictions", Target::kNone},
    {Stage::kEtrn, "smtpd_etrn_restrictions", Target::kEtrn},
};

std::string_view domain_of(std::string_view address) {
    const size_t at = address.rfind('@');
    return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

// "need fully-qualified": a name with a dot inside, or an address literal. The null sender and postmaster pass.
bool is_fully_qualified(std::string_view address) {
    if (address.empty() || smtp::equals_ignoring_case(address, "postmaster")) return true;
    const auto domain = domain_of(address);
    if (!domain.empty() && domain.front() == '[') return true;
    const size_t dot = domain.find('.');
    return dot != std::string_view::npos && dot > 0 && dot + 1 < domain.size() && smtp::is_domain_syntax(domain, true);
}

bool is_slow(Op op) {
    switch (op) {
        case Op::kAccess:
        case Op::kHostAccess:
        case Op::kRejectRbl:
        case Op::kPermitDnswl:
        case Op::kRejectRhsbl:
        case Op::kPermitRhswl:
        case Op::kPolicyService:
        case Op::kClass:
        case Op::kSleep:
        case Op::kRejectUnknownHelo:
        case Op::kRejectUnknownSenderDomain:
        case Op::kRejectUnknownRecipientDomain: return true;
        default: return false;
    }
}

std::string in_brackets(std::string_view address) { return '<' + smtp::to_external(address) + '>'; }

}   // namespace

Restrictions::Restrictions(std::shared_ptr<const Service> service, std::shared_ptr<const Tables> tables,
                           HostNames& names)
    : service_(std::move(service)), tables_(std::move(tables)), names_(names) {}
Restrictions::~Restrictions() = default;

Expected<std::unique_ptr<Restrictions>> Restrictions::open(std::shared_ptr<const Service> service,
                                                           std::shared_ptr<const Tables> tables, HostNames& names) {
    std::unique_ptr<Restrictions> out(new Restrictions(service, std::move(tables), names));
    for (const auto& spec : kLists) {
        auto rules = compile_rules(service->main.str(spec.parameter), service->main, spec.parameter, spec.bare_table);
        if (!rules) {
            rules.error().text = "service " + service->name + ": " + rules.error().text;
            return fail(std::move(rules.error()));
        }
        out->lists_.push_back(std::move(*rules));
    }
    if (!stops_relaying(out->lists_[static_cast<size_t>(Stage::kRelay)]) &&
        !stops_relaying(out->lists_[static_cast<size_t>(Stage::kRecipient)])) {
        return fail(
            EINVAL,
            "service " + service->name +
                ": in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working "
                "instance of: reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or "
                "check_relay_domains");
    }
    return out;
}

std::unique_ptr<Restrictions> Restrictions::none(std::shared_ptr<const Service> service,
                                                 std::shared_ptr<const Tables> tables, HostNames& names) {
    std::unique_ptr<Restrictions> out(new Restrictions(std::move(service), std::move(tables), names));
    out->lists_.resize(std::size(kLists));
    return out;
}

Task<Verdict> Restrictions::at_connect(Context& c) {
    Evaluation e;
    auto v = co_await evaluate(Stage::kClient, c, e);
    co_return finish(std::move(v), e);
}

Task<Verdict> Restrictions::at_helo(Context& c) {
    Evaluation e;
    auto v = co_await evaluate(Stage::kHelo, c, e);
    co_return finish(std::move(v), e);
}

Task<Verdict> Restrictions::at_mail(Context& c) {
    if (service_->delay_reject) {
        co_return Verdict::dunno();
    }
    Evaluation e;
    auto v = co_await evaluate(Stage::kSender, c, e);
    if (!v.refused() && service_->reject_unlisted_sender) v = unlisted(true, c);
    co_return finish(std::move(v), e);
}

Task<Verdict> Restrictions::at_rcpt(Context& c) {
    // RFC 5321 §4.5.1: postmaster without a domain is always accepted.
    if (smtp::equals_ignoring_case(c.recipient, "postmaster")) co_return Verdict::permit();
    // Each list has the last word only on itself: a permit in one does not skip the next.
    Evaluation e;
    if (service_->delay_reject) {
        for (Stage stage : {Stage::kClient, Stage::kHelo, Stage::kSender}) {
            if (lists_[static_cast<size_t>(stage)].empty()) continue;
            if (stage == Stage::kHelo && c.helo_name.empty()) continue;
            auto v = co_await evaluate(stage, c, e);
            if (v.refused()) co_return finish(std::move(v), e);
        }
        if (service_->reject_unlisted_sender) {
            auto v = unlisted(true, c);
            if (v.refused()) co_return finish(std::move(v), e);
        }
    }
    const Stage first = service_->relay_before_recipient ? Stage::kRelay : Stage::kRecipient;
    const Stage second = service_->relay_before_recipient ? Stage::kRecipient : Stage::kRelay;
    auto v = co_await evaluate(first, c, e);
    if (!v.refused()) v = co_await evaluate(second, c, e);
    if (!v.refused() && service_->reject_unlisted_recipient) v = unlisted(false, c);
    co_return finish(std::move(v), e);
}

Task<Verdict> Restrictions::at_data(Context& c) {
    if (lists_[static_cast<size_t>(Stage::kData)].empty()) co_return Verdict::dunno();
    Evaluation e;
    auto v = co_await evaluate(Stage::kData, c, e);
    co_return finish(std::move(v), e);
}

Task<Verdict> Restrictions::at_end_of_data(Context& c) {
    if (lists_[static_cast<size_t>(Stage::kEndOfData)].empty()) co_return Verdict::dunno();
    Evaluation e;
    auto v = co_await evaluate(Stage::kEndOfData, c, e);
    co_return finish(std::move(v), e);
}

Task<Verdict> Restrictions::at_etrn(Context& c) {
    Evaluation e;
    if (service_->delay_reject) {
        for (Stage stage : {Stage::kClient, Stage::kHelo}) {
            auto v = co_await evaluate(stage, c, e);
            if (v.refused()) co_return finish(std::move(v), e);
        }
    }
    auto v = co_await evaluate(Stage::kEtrn, c, e);
    co_return finish(std::move(v), e);
}

Verdict Restrictions::finish(Verdict v, Evaluation& e) {
    if (v.refused() && e.if_reject.active && v.code >= 500)
        return Verdict::reject(e.if_reject.code, e.if_reject.enhanced, e.if_reject.text);
    if (!v.refused() && e.if_permit.active)
        return Verdict::reject(e.if_permit.code, e.if_permit.enhanced, e.if_permit.text);
    return v;
}

Task<Verdict> Restrictions::evaluate(Stage stage, Context& c, Evaluation& e) {
    const auto& rules = lists_[static_cast<size_t>(stage)];
    if (rules.empty()) co_return Verdict::dunno();
    co_return co_await run(rules, stage, c, e);
}

Task<Verdict> Restrictions::run(const std::vector<Rule>& rules, Stage stage, Context& c, Evaluation& e) {
    for (const auto& rule : rules) {
        Verdict v;
        if (is_slow(rule.op)) {
            v = co_await apply_slow(rule, stage, c, e);
        } else {
            v = apply(rule, stage, c, e);
        }
        if (v.refused() && rule.warn) {
            log_refusal(c, "reject_warning", stage, v);
            continue;
        }
        if (v.kind != Verdict::Kind::kDunno) co_return v;
    }
    co_return Verdict::dunno();
}

// What a generic restriction (permit, reject, a policy service) speaks of, by the list it stands in.
static std::pair<std::string, std::string> stage_subject(Stage stage, const Context& c) {
    switch (stage) {
        case Stage::kClient: return {'<' + c.client.name_address() + '>', "Client host"};
        case Stage::kHelo: return {'<' + c.helo_name + '>', "Helo command"};
        case Stage::kSender: return {in_brackets(c.sender), "Sender address"};
        case Stage::kRelay:
        case Stage::kRecipient: return {in_brackets(c.recipient), "Recipient address"};
        case Stage::kData: return {"<DATA>", "Data command"};
        case Stage::kEndOfData: return {"<END-OF-MESSAGE>", "End-of-data"};
        case Stage::kEtrn: return {'<' + c.etrn_domain + '>', "Etrn command"};
    }
    return {};
}

Verdict Restrictions::apply(const Rule& rule, Stage stage, Context& c, Evaluation& e) {
    const auto& codes = service_->codes;
    const auto temporary = [&](const Error& error) {
        log::warning_as(service_->ident, "{}", error.text);
        return Verdict::reject(451, "4.3.0", in_brackets(c.recipient) + ": Temporary lookup failure");
    };
    auto subject = [&](std::string_view says) {
        auto [who, what] = stage_subject(stage, c);
        return who + ": " + what + " rejected: " + std::string(says);
    };
    switch (rule.op) {
        case Op::kPermit: return Verdict::permit();
        case Op::kReject: return Verdict::reject(codes.generic, "5.7.1", subject("Access denied"));
        case Op::kDefer: return Verdict::reject(codes.defer, "4.3.2", subject("Try again later"));
        case Op::kDeferIfPermit:
            if (!e.if_permit.active) e.if_permit = {true, codes.defer, "4.3.2", subject("defer_if_permit requested")};
            return Verdict::dunno();
        case Op::kDeferIfReject:
            if (!e.if_reject.active) e.if_reject = {true, codes.defer, "4.3.2", subject("defer_if_reject requested")};
            return Verdict::dunno();

        case Op::kPermitMynetworks: {
            auto match = tables_->my_networks.matches_host(c.client.name, c.client.address);
            if (!match) return temporary(match.error());
            return *match ? Verdict::permit() : Verdict::dunno();
        }
        case Op::kPermitSaslAuthenticated: return c.sasl_username.empty() ? Verdict::dunno() : Verdict::permit();
        case Op::kPermitInetInterfaces: {
            return tables_->resolver->is_own_address(c.client.address) ? Verdict::permit() : Verdict::dunno();
        }

        case Op::kPermitAuthDestination:
        case Op::kRejectUnauthDestination:
        case Op::kDeferUnauthDestination: {
            if (c.recipient.empty()) return Verdict::dunno();   // asked before RCPT
            auto resolved = tables_->resolver->resolve(c.sender, c.recipient);
            if (!resolved) return temporary(resolved.error());
            // A routed recipient goes where the sender says, whatever domain it ends in: never authorized.
            const bool authorized = (!resolved->routed || service_->allow_untrusted_routing) &&
                                    (resolved->is_final() || resolved->domain_class == address::DomainClass::kRelay);
            if (rule.op == Op::kPermitAuthDestination) return authorized ? Verdict::permit() : Verdict::dunno();
            if (authorized) return Verdict::dunno();
            const auto text = in_brackets(c.recipient) + ": Relay access denied";
            if (rule.op == Op::kDeferUnauthDestination) return Verdict::reject(454, "4.7.1", text);
            return Verdict::reject(codes.relay_domains, "5.7.1", text);
        }

        case Op::kRejectUnauthPipelining:
            if (!c.pipelined) return Verdict::dunno();
            return Verdict::reject(503, "5.5.0", subject("Improper use of SMTP command pipelining"));
        case Op::kRejectPlaintextSession:
            if (c.tls) return Verdict::dunno();
            return Verdict::reject(codes.plaintext, "4.7.1", "Session encryption is required");
        case Op::kRejectMultiRecipientBounce:
            // Only once all recipients are known.
            if (!c.sender.empty() || c.recipient_count <= 1 || (stage != Stage::kData && stage != Stage::kEndOfData))
                return Verdict::dunno();
            return Verdict::reject(codes.multi_recipient_bounce, "5.5.3", subject("Multi-recipient bounce"));

        case Op::kRejectUnlistedRecipient: return c.recipient.empty() ? Verdict::dunno() : unlisted(false, c);
        case Op::kRejectUnlistedSender: return unlisted(true, c);

        case Op::kRejectInvalidHelo: {
            if (c.helo_name.empty()) return Verdict::dunno();
            const bool fine = c.helo_name.front() == '['
                                  ? !smtp::parse_address_literal(c.helo_name).empty()
                                  : smtp::is_valid_hostname(c.helo_name) || smtp::is_ipv4(c.helo_name);
            if (fine) return Verdict::dunno();
            return Verdict::reject(codes.invalid_hostname, "5.5.2",
                                   '<' + c.helo_name + ">: Helo command rejected: Invalid name");
        }
        case Op::kRejectNonFqdnHelo: {
            if (c.helo_name.empty()) return Verdict::dunno();
            const bool fine = c.helo_name.front() == '['
                                  ? !smtp::parse_address_literal(c.helo_name).empty()
                                  : smtp::is_valid_hostname(c.helo_name) && c.helo_name.find('.') != std::string::npos;
            if (fine) return Verdict::dunno();
            return Verdict::reject(codes.non_fqdn, "5.5.2",
                                   '<' + c.helo_name + ">: Helo command rejected: need fully-qualified hostname");
        }
        case Op::kRejectNonFqdnSender:
            if (!c.in_transaction || is_fully_qualified(c.sender)) return Verdict::dunno();
            return Verdict::reject(codes.non_fqdn, "5.5.2",
                                   in_brackets(c.sender) + ": Sender address rejected: need fully-qualified address");
        case Op::kRejectNonFqdnRecipient:
            if (c.recipient.empty() || is_fully_qualified(c.recipient)) return Verdict::dunno();
            return Verdict::reject(
                codes.non_fqdn, "5.5.2",
                in_brackets(c.recipient) + ": Recipient address rejected: need fully-qualified address");

        case Op::kRejectUnknownClient:
            if (c.client.name != "unknown") return Verdict::dunno();
            return Verdict::reject(c.client.name_status == Lookup::kTemporary ? 450 : codes.unknown_client, "4.7.25",
                                   "Client host rejected: cannot find your hostname, [" + c.client.address + ']');
        case Op::kRejectUnknownReverseClient:
            if (c.client.reverse_name != "unknown") return Verdict::dunno();
            return Verdict::reject(
                c.client.reverse_status == Lookup::kTemporary ? 450 : codes.unknown_client, "4.7.25",
                "Client host rejected: cannot find your reverse hostname, [" + c.client.address + ']');

        case Op::kRejectLoginMismatch:
        case Op::kRejectAuthenticatedLoginMismatch:
        case Op::kRejectUnauthenticatedLoginMismatch:
        case Op::kRejectKnownLoginMismatch: return login_mismatch(rule, c);
        default: return Verdict::dunno();
    }
}

Task<Verdict> Restrictions::apply_slow(const Rule& rule, Stage stage, Context& c, Evaluation& e) {
    switch (rule.op) {
        case Op::kClass: co_return co_await run(rule.nested, stage, c, e);
        case Op::kAccess: co_return co_await access(rule, stage, c, e);
        case Op::kHostAccess: co_return co_await host_access(rule, stage, c, e);
        case Op::kRejectRbl:
        case Op::kPermitDnswl:
        case Op::kRejectRhsbl:
        case Op::kPermitRhswl: co_return co_await dns_list(rule, c);
        case Op::kSleep:
            (void)co_await sleep_for(std::chrono::duration_cast<Millis>(rule.delay));
            co_return Verdict::dunno();
        case Op::kRejectUnknownSenderDomain: co_return co_await unknown_domain(true, c, e);
        case Op::kRejectUnknownRecipientDomain: co_return co_await unknown_domain(false, c, e);
        case Op::kRejectUnknownHelo: {
            if (c.helo_name.empty()) co_return Verdict::dunno();
            if (c.helo_name.front() == '[') co_return Verdict::dunno();
            const auto found = co_await names_.host(c.helo_name);
            if (found == Lookup::kOk) co_return Verdict::dunno();
            const int code = found == Lookup::kTemporary ? 450 : service_->codes.unknown_hostname;
            co_return Verdict::reject(code, "4.7.1", '<' + c.helo_name + ">: Helo command rejected: Host not found");
        }
        case Op::kPolicyService: {
            auto answer = co_await ask_policy_service(*rule.policy, stage, c);
            if (!answer) answer = rule.policy->default_action;
            auto [who, what] = stage_subject(stage, c);
            co_return co_await action(std::move(*answer), std::move(who), std::move(what), stage, c, e);
        }
        default: co_return Verdict::dunno();
    }
}

Task<Verdict> Restrictions::access(const Rule& rule, Stage stage, Context& c, Evaluation& e) {
    std::string who;
    std::string what;
    auto found = lookup_access(rule, *service_, c, who, what);
    if (!found) {
        log::warning_as(service_->ident, "{}: table lookup problem: {}", rule.argument, found.error().text);
        co_return Verdict::reject(451, "4.3.5", who + ": " + what + " rejected: Server configuration error");
    }
    if (!*found) co_return Verdict::dunno();
    co_return co_await action(std::move(**found), std::move(who), std::move(what), stage, c, e);
}

// access(5): what a table or a policy service answered.
Task<Verdict> Restrictions::action(std::string value, std::string who, std::string what, Stage stage, Context& c,
                                   Evaluation& e) {
    const auto parsed = parse_action(value);
    const auto text = who + ": " + what + " rejected: ";
    auto say = [&](const char* fallback) { return text + (parsed.text.empty() ? fallback : parsed.text); };
    switch (parsed.kind) {
        case Action::Kind::kOk: co_return Verdict::permit();
        case Action::Kind::kDunno: co_return Verdict::dunno();
        case Action::Kind::kReject:
            co_return Verdict::reject(parsed.code ? parsed.code : service_->codes.access_map,
                                      parsed.enhanced.empty() ? "5.7.1" : parsed.enhanced, say("Access denied"));
        case Action::Kind::kDefer:
            co_return Verdict::reject(parsed.code ? parsed.code : 450,
                                      parsed.enhanced.empty() ? "4.7.1" : parsed.enhanced, say("Access denied"));
        case Action::Kind::kDeferIfPermit:
            if (!e.if_permit.active)
                e.if_permit = {true, 450, parsed.enhanced.empty() ? "4.7.1" : parsed.enhanced,
                               say("Service unavailable")};
            co_return Verdict::dunno();
        case Action::Kind::kDeferIfReject:
            if (!e.if_reject.active)
                e.if_reject = {true, 450, parsed.enhanced.empty() ? "4.7.1" : parsed.enhanced,
                               say("Service unavailable")};
            co_return Verdict::dunno();
        case Action::Kind::kDiscard:
            log_action(c, "discard", stage,
                       who + ": " + what + ' ' + (parsed.text.empty() ? "triggers DISCARD action" : parsed.text));
            c.effects.discard = true;
            co_return Verdict::permit();
        case Action::Kind::kHold:
            log_action(c, "hold", stage,
                       who + ": " + what + ' ' + (parsed.text.empty() ? "triggers HOLD action" : parsed.text));
            c.effects.hold = true;
            co_return Verdict::dunno();
        case Action::Kind::kFilter:
            log_action(c, "filter", stage, who + ": " + what + " triggers FILTER " + parsed.text);
            c.effects.filter = parsed.text;
            co_return Verdict::dunno();
        case Action::Kind::kPrepend: c.effects.prepend.push_back(parsed.text); co_return Verdict::dunno();
        case Action::Kind::kRedirect:
            log_action(c, "redirect", stage, who + ": " + what + " triggers REDIRECT " + parsed.text);
            c.effects.redirect = parsed.text;
            co_return Verdict::dunno();
        case Action::Kind::kBcc:
            log_action(c, "bcc", stage, who + ": " + what + " triggers BCC " + parsed.text);
            if (c.effects.bcc.size() < 100) c.effects.bcc.push_back(parsed.text);
            co_return Verdict::dunno();
        // The line says sender and recipient behind the text, as for every other action.
        case Action::Kind::kInfo: log_action(c, "info", stage, parsed.text); co_return Verdict::dunno();
        case Action::Kind::kWarn: log_action(c, "warn", stage, parsed.text); co_return Verdict::dunno();
        case Action::Kind::kIncomplete:
            log::warning_as(service_->ident, "access table entry \"{}\" requires {}", value, parsed.text);
            co_return Verdict::dunno();
        case Action::Kind::kRestrictions: break;
    }
    auto rules = compile_rules(value, service_->main, "access table", Target::kNone, 10);
    if (!rules) {
        log::warning_as(service_->ident, "{}", rules.error().text);
        co_return Verdict::reject(451, "4.3.5", text + "Server configuration error");
    }
    co_return co_await run(*rules, stage, c, e);
}

Task<Verdict> Restrictions::unknown_domain(bool sender, Context& c, Evaluation&) {
    const auto& address = sender ? c.sender : c.recipient;
    if (address.empty()) co_return Verdict::dunno();
    auto resolved = tables_->resolver->resolve(c.sender, address);
    if (!resolved) co_return Verdict::reject(451, "4.3.0", in_brackets(address) + ": Temporary lookup failure");
    if (resolved->is_final()) co_return Verdict::dunno();   // ours: whether the user exists is another question
    const auto domain = std::string(domain_of(resolved->recipient));
    if (domain.empty() || domain.front() == '[') co_return Verdict::dunno();
    const auto found = co_await names_.mail_domain(domain);
    if (found == Lookup::kOk) co_return Verdict::dunno();
    const int code = found == Lookup::kTemporary ? 450 : service_->codes.unknown_address;
    if (sender)
        co_return Verdict::reject(code, "4.1.8", in_brackets(address) + ": Sender address rejected: Domain not found");
    co_return Verdict::reject(code, "4.1.2", in_brackets(address) + ": Recipient address rejected: Domain not found");
}

// smtpd_sender_login_maps: who may send as whom.
Verdict Restrictions::login_mismatch(const Rule& rule, Context& c) {
    if (!c.in_transaction) return Verdict::dunno();
    const bool logged_in = !c.sasl_username.empty();
    if (rule.op == Op::kRejectAuthenticatedLoginMismatch && !logged_in) return Verdict::dunno();
    if (rule.op == Op::kRejectUnauthenticatedLoginMismatch && logged_in) return Verdict::dunno();
    if (c.sender.empty()) return Verdict::dunno();
    auto resolved = tables_->resolver->resolve({}, c.sender);
    if (!resolved) return Verdict::reject(451, "4.3.0", in_brackets(c.sender) + ": Temporary lookup failure");
    auto owners = tables_->resolver->keys().find(tables_->sender_login, resolved->recipient);
    if (!owners) {
        log::warning_as(service_->ident, "{}", owners.error().text);
        return Verdict::reject(451, "4.3.0", in_brackets(c.sender) + ": Temporary lookup failure");
    }
    if (!*owners) {
        if (!logged_in) return Verdict::dunno();
        if (rule.op == Op::kRejectKnownLoginMismatch) return Verdict::dunno();
        return Verdict::reject(
            553, "5.7.1", in_brackets(c.sender) + ": Sender address rejected: not owned by user " + c.sasl_username);
    }
    if (!logged_in)
        return Verdict::reject(553, "5.7.1", in_brackets(c.sender) + ": Sender address rejected: not logged in");
    std::string_view list = (*owners)->value;
    while (!list.empty()) {
        const size_t end = list.find_first_of(", \t\r\n");
        const auto owner = list.substr(0, end);
        if (!owner.empty() && smtp::equals_ignoring_case(owner, c.sasl_username)) return Verdict::dunno();
        list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
    }
    return Verdict::reject(553, "5.7.1",
                           in_brackets(c.sender) + ": Sender address rejected: not owned by user " + c.sasl_username);
}

Verdict Restrictions::unlisted(bool sender, Context& c) {
    const auto& address = sender ? c.sender : c.recipient;
    if (address.empty()) return Verdict::dunno();
    const auto kind = sender ? address::Validator::Kind::kSender : address::Validator::Kind::kRecipient;
    auto known = tables_->validator->check(c.sender, address, kind);
    if (known) return Verdict::dunno();
    if (known.error().code == 0) {
        log::warning_as(service_->ident, "{}", known.error().text);
        return Verdict::reject(451, "4.3.0", in_brackets(address) + ": Temporary lookup failure");
    }
    return Verdict::reject(
        known.error().code, known.error().enhanced,
        in_brackets(address) + (sender ? ": Sender" : ": Recipient") + " address rejected: " + known.error().text);
}

}   // namespace postcot::smtpd
