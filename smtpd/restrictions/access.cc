#include "smtpd/restrictions/access.h"

#include <tuple>

#include "libproto/address/lookup.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/reply.h"
#include "libproto/smtp/text.h"

namespace postcot::smtpd {
namespace {

using Result = Expected<std::optional<std::string>>;

// host.example.com, example.com, com: parent_domain_matches_subdomains holds smtpd_access_maps by default; else ".example.com".
Result find_domain(const table::Maps& maps, std::string_view domain, bool parents_match) {
    const auto folded = smtp::lower(domain);
    std::string_view name = folded;
    bool whole = true;
    while (!name.empty()) {
        auto found = maps.find(name, !whole);
        if (!found || *found) return found;
        if (name.front() == '[') break;
        const size_t dot = name.find('.', 1);
        if (dot == std::string_view::npos) break;
        name = name.substr(parents_match ? dot + 1 : dot);
        whole = false;
    }
    return std::optional<std::string>{};
}

// 192.0.2.1, 192.0.2, 192.0, 192; 2001:db8::1, 2001:db8, 2001.
Result find_address(const table::Maps& maps, std::string_view address) {
    const char separator = address.find(':') != std::string_view::npos ? ':' : '.';
    bool whole = true;
    while (!address.empty()) {
        auto found = maps.find(address, !whole);
        if (!found || *found) return found;
        const size_t at = address.rfind(separator);
        if (at == std::string_view::npos) break;
        address = address.substr(0, at);
        while (!address.empty() && address.back() == separator) address.remove_suffix(1);
        whole = false;
    }
    return std::optional<std::string>{};
}

// user+ext@domain, user@domain, the domain and its parents, user+ext@, user@.
Result find_mail(const table::Maps& maps, const Service& service, std::string_view address, bool parents_match) {
    if (address.empty()) return maps.find(service.null_access_key, true);
    const auto folded = smtp::lower(address);
    const size_t at = folded.rfind('@');
    const auto local = folded.substr(0, at);
    const auto domain = at == std::string::npos ? std::string() : folded.substr(at + 1);
    const size_t plus = address::find_extension(local, service.main.str("recipient_delimiter"),
                                                service.main.boolean("owner_request_special"));
    auto found = maps.find(folded, false);
    if (!found || *found) return found;
    if (plus != std::string::npos) {
        found = maps.find(local.substr(0, plus) + '@' + domain, true);
        if (!found || *found) return found;
    }
    if (!domain.empty()) {
        // The whole address was a pattern's one chance: from here on only fixed keys.
        std::string_view name = domain;
        while (!name.empty()) {
            found = maps.find(name, true);
            if (!found || *found) return found;
            const size_t dot = name.find('.', 1);
            if (name.front() == '[' || dot == std::string_view::npos) break;
            name = name.substr(parents_match ? dot + 1 : dot);
        }
    }
    found = maps.find(local + '@', true);
    if (!found || *found) return found;
    if (plus != std::string::npos) return maps.find(local.substr(0, plus) + '@', true);
    return std::optional<std::string>{};
}

bool has_word(std::string_view list, std::string_view word) {
    for (size_t at = list.find(word); at != std::string_view::npos; at = list.find(word, at + 1)) {
        const size_t end = at + word.size();
        const bool left = at == 0 || list[at - 1] == ',' || smtp::is_space(list[at - 1]);
        if (left && (end == list.size() || list[end] == ',' || smtp::is_space(list[end]))) return true;
    }
    return false;
}

struct Effect {
    std::string_view word;
    Action::Kind kind;
    char needs;
    const char* needed;
};
constexpr Effect kEffects[] = {{"FILTER", Action::Kind::kFilter, ':', "transport:destination"},
                               {"PREPEND", Action::Kind::kPrepend, ':', "header: text"},
                               {"REDIRECT", Action::Kind::kRedirect, '@', "user@domain target"},
                               {"BCC", Action::Kind::kBcc, '@', "user@domain target"}};

const Effect* find_effect(std::string_view word) {
    for (const auto& effect : kEffects) {
        if (effect.word == word) return &effect;
    }
    return nullptr;
}

}   // namespace

std::pair<std::string, std::string> target_subject(Target target, const Context& c) {
    switch (target) {
        case Target::kClient: return {'<' + c.client.name_address() + '>', "Client host"};
        case Target::kReverseClient: return {'<' + c.client.reverse_name + '>', "Unverified Client host"};
        case Target::kHelo: return {'<' + c.helo_name + '>', "Helo command"};
        case Target::kSender: return {'<' + smtp::to_external(c.sender) + '>', "Sender address"};
        case Target::kRecipient: return {'<' + smtp::to_external(c.recipient) + '>', "Recipient address"};
        case Target::kEtrn: return {'<' + c.etrn_domain + '>', "Etrn command"};
        case Target::kSasl: return {'<' + c.sasl_username + '>', "SASL login name"};
        case Target::kNone: break;
    }
    return {};
}

std::string target_domain(Target target, const Context& c) {
    auto of = [](const std::string& address) {
        const size_t at = address.rfind('@');
        return at == std::string::npos ? std::string() : address.substr(at + 1);
    };
    switch (target) {
        case Target::kClient: return c.client.name == "unknown" ? std::string() : c.client.name;
        case Target::kReverseClient: return c.client.reverse_name == "unknown" ? std::string() : c.client.reverse_name;
        case Target::kHelo: return c.helo_name;
        case Target::kSender: return of(c.sender);
        case Target::kRecipient: return of(c.recipient);
        case Target::kEtrn: return c.etrn_domain;
        case Target::kSasl:
        case Target::kNone: break;
    }
    return {};
}

Result find_host(const table::Maps& maps, const Service& service, std::string_view host) {
    return find_domain(maps, host, has_word(service.main.str("parent_domain_matches_subdomains"), "smtpd_access_maps"));
}
Result find_host_address(const table::Maps& maps, std::string_view address) { return find_address(maps, address); }

Result lookup_access(const Rule& rule, const Service& service, const Context& c, std::string& who, std::string& what) {
    std::tie(who, what) = target_subject(rule.target, c);
    const bool parents = has_word(service.main.str("parent_domain_matches_subdomains"), "smtpd_access_maps");
    const std::optional<std::string> none;
    switch (rule.target) {
        case Target::kClient: {
            auto found = find_domain(rule.maps, c.client.name, parents);
            if (!found || *found) return found;
            return find_address(rule.maps, c.client.address);
        }
        case Target::kReverseClient: return find_domain(rule.maps, c.client.reverse_name, parents);
        case Target::kHelo: return c.helo_name.empty() ? Result(none) : find_domain(rule.maps, c.helo_name, parents);
        case Target::kSender: return c.in_transaction ? find_mail(rule.maps, service, c.sender, parents) : Result(none);
        case Target::kRecipient:
            return c.recipient.empty() ? Result(none) : find_mail(rule.maps, service, c.recipient, parents);
        case Target::kEtrn: return find_domain(rule.maps, c.etrn_domain, parents);
        case Target::kSasl:
            return c.sasl_username.empty() ? Result(none) : rule.maps.find(smtp::lower(c.sasl_username), true);
        case Target::kNone: break;
    }
    return none;
}

Action parse_action(std::string_view value) {
    Action out;
    value = smtp::trim(value);
    auto rest = value;
    const auto word = smtp::next_word(rest);
    rest = smtp::trim(rest);
    auto with_status = [&](Action::Kind kind) {
        out.kind = kind;
        out.enhanced = smtp::take_enhanced_status(rest);
        out.text = rest;
    };
    const auto upper = smtp::upper(word);
    if (upper == "OK") {
        out.kind = Action::Kind::kOk;
    } else if (upper == "DUNNO") {
        out.kind = Action::Kind::kDunno;
    } else if (upper == "REJECT") {
        with_status(Action::Kind::kReject);
    } else if (upper == "DEFER") {
        with_status(Action::Kind::kDefer);
    } else if (upper == "DEFER_IF_PERMIT") {
        with_status(Action::Kind::kDeferIfPermit);
    } else if (upper == "DEFER_IF_REJECT") {
        with_status(Action::Kind::kDeferIfReject);
    } else if (word.size() == 3 && (word[0] == '4' || word[0] == '5') && smtp::is_digit(word[1]) &&
               smtp::is_digit(word[2])) {
        with_status(word[0] == '4' ? Action::Kind::kDefer : Action::Kind::kReject);
        out.code = (word[0] - '0') * 100 + (word[1] - '0') * 10 + (word[2] - '0');
    } else if (upper == "DISCARD") {
        out.kind = Action::Kind::kDiscard;
        out.text = rest;
    } else if (upper == "HOLD") {
        out.kind = Action::Kind::kHold;
        out.text = rest;
    } else if (const auto* effect = find_effect(upper)) {
        const bool complete = rest.find(effect->needs) != std::string_view::npos;
        out.kind = complete ? effect->kind : Action::Kind::kIncomplete;
        out.text = complete ? rest : std::string_view(effect->needed);
    } else if (upper == "INFO" || upper == "WARN") {
        out.kind = upper == "INFO" ? Action::Kind::kInfo : Action::Kind::kWarn;
        out.text = rest;
    } else if (!value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos) {
        out.kind = Action::Kind::kOk;   // all-numerical: what pop-before-smtp scripts write
    } else {
        out.kind = Action::Kind::kRestrictions;
    }
    return out;
}

}   // namespace postcot::smtpd
