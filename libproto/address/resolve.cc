#include "libproto/address/resolve.h"

#include "libproto/smtp/idna.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/text.h"

namespace postcot::address {
namespace {

std::string_view domain_of(std::string_view address) {
    const size_t at = address.rfind('@');
    return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

}   // namespace

TransportNexthop split_transport(std::string_view value) {
    value = smtp::trim(value);
    const size_t colon = value.find(':');
    if (colon == std::string_view::npos) return {std::string(value), {}};
    return {std::string(smtp::trim(value.substr(0, colon))), std::string(smtp::trim(value.substr(colon + 1)))};
}

Resolver::Resolver(const config::MainCf& main, Keys keys)
    : rewriter_(main),
      keys_(std::move(keys)),
      my_hostname_(main.str("myhostname")),
      relayhost_(main.str("relayhost")),
      local_transport_(main.str("local_transport")),
      virtual_transport_(main.str("virtual_transport")),
      relay_transport_(main.str("relay_transport")),
      default_transport_(main.str("default_transport")),
      null_sender_transport_key_(main.str("empty_address_default_transport_maps_lookup_key")),
      null_sender_relayhost_key_(main.str("empty_address_relayhost_maps_lookup_key")),
      show_table_name_(main.boolean("show_user_unknown_table_name")),
      resolve_null_domain_(main.boolean("resolve_null_domain")),
      resolve_numeric_domain_(main.boolean("resolve_numeric_domain")) {}

Expected<std::shared_ptr<const Resolver>> Resolver::open(const config::MainCf& main) {
    auto keys = Keys::open(main);
    if (!keys) return fail(std::move(keys.error()));
    std::shared_ptr<Resolver> r(new Resolver(main, std::move(*keys)));
    struct List {
        const char* name;
        table::MatchList Resolver::*member;
    };
    for (const auto& l : {List{"virtual_alias_domains", &Resolver::virtual_alias_domains_},
                          List{"virtual_mailbox_domains", &Resolver::virtual_mailbox_domains_},
                          List{"relay_domains", &Resolver::relay_domains_}}) {
        auto list = table::MatchList::open(main.str(l.name), main, l.name);
        if (!list) return fail(std::move(list.error()));
        (*r).*l.member = std::move(*list);
    }
    struct Map {
        const char* name;
        table::Maps Resolver::*member;
    };
    for (const auto& m :
         {Map{"transport_maps", &Resolver::transport_maps_}, Map{"relocated_maps", &Resolver::relocated_maps_},
          Map{"sender_dependent_relayhost_maps", &Resolver::sender_relayhost_maps_},
          Map{"sender_dependent_default_transport_maps", &Resolver::sender_transport_maps_}}) {
        auto maps = table::Maps::open(main.str(m.name), main, m.name);
        if (!maps) return fail(std::move(maps.error()));
        (*r).*m.member = std::move(*maps);
    }
    return std::shared_ptr<const Resolver>(std::move(r));
}

Expected<DomainClass> Resolver::classify(std::string_view domain) const {
    auto local = is_local_domain(domain);
    if (!local) return fail(std::move(local.error()));
    if (*local) return DomainClass::kLocal;
    const auto folded = smtp::lower(domain);
    struct Step {
        const table::MatchList& list;
        DomainClass domain_class;
    };
    for (const auto& step :
         {Step{virtual_alias_domains_, DomainClass::kVirtualAlias},
          Step{virtual_mailbox_domains_, DomainClass::kVirtualMailbox}, Step{relay_domains_, DomainClass::kRelay}}) {
        auto match = step.list.matches_domain(folded);
        if (!match) return fail(std::move(match.error()));
        if (*match) return step.domain_class;
    }
    return DomainClass::kDefault;
}

Expected<Resolution> Resolver::resolve(std::string_view sender, std::string_view recipient) const {
    Resolution out;
    auto has_route = [this](std::string_view local) {
        return local.find('@') != std::string_view::npos ||
               (rewriter_.swap_bangpath() && local.find('!') != std::string_view::npos) ||
               (rewriter_.percent_hack() && local.find('%') != std::string_view::npos);
    };

    // Our own domain is stripped as long as what is left names another place: user%other@here, here!user@here ...
    std::string address(recipient);
    std::string stripped_domain;
    for (int depth = 0;; ++depth) {
        if (depth > 100) return fail(550, "5.1.3", "too many routing operators");
        const size_t at = address.rfind('@');
        if (at != std::string::npos) {
            auto domain = std::string_view(address).substr(at + 1);
            if (domain.size() > 1 && domain.back() == '.') domain.remove_suffix(1);
            if (domain.empty() && !resolve_null_domain_) {
                address.resize(at);
                continue;
            }
            auto local = is_local_domain(domain);
            if (!local) return fail(std::move(local.error()));
            if (!*local) break;
            stripped_domain = std::string(domain);
            address.resize(at);
        }
        if (!has_route(address)) break;
        auto next = rewriter_.local(address);
        if (next == address && address.find('@') == std::string::npos) break;
        address = std::move(next);
        stripped_domain.clear();
    }
    if (address.rfind('@') == std::string::npos && !address.empty()) {
        address += '@';
        address += stripped_domain.empty() ? rewriter_.my_origin() : stripped_domain;
    }

    out.recipient = std::move(address);
    const auto domain = domain_of(out.recipient);
    out.routed = has_route(std::string_view(out.recipient).substr(0, out.recipient.rfind('@')));
    auto domain_class = classify(domain);
    if (!domain_class) return fail(std::move(domain_class.error()));
    out.domain_class = *domain_class;
    auto routed = route(sender, out);
    if (!routed) return fail(std::move(routed.error()));
    return out;
}

Expected<void> Resolver::route(std::string_view sender, Resolution& out) const {
    const auto domain = std::string(domain_of(out.recipient));
    // user@192.0.2.1 without brackets is no address (resolve_numeric_domain).
    if (smtp::is_ipv4(domain) && !resolve_numeric_domain_) {
        out.transport = "error";
        out.nexthop = "5.1.3 bad address syntax";
        return {};
    }
    TransportNexthop chosen;
    switch (out.domain_class) {
        case DomainClass::kLocal: chosen = split_transport(local_transport_); break;
        case DomainClass::kVirtualMailbox: chosen = split_transport(virtual_transport_); break;
        case DomainClass::kVirtualAlias:
            chosen = {"error", show_table_name_ ? "5.1.1 User unknown in virtual alias table" : "5.1.1 User unknown"};
            break;
        case DomainClass::kRelay:
        case DomainClass::kDefault: {
            const std::string sender_key(sender.empty() ? null_sender_transport_key_ : std::string(sender));
            std::string transport = out.domain_class == DomainClass::kRelay ? relay_transport_ : default_transport_;
            if (out.domain_class == DomainClass::kDefault) {
                auto found = keys_.find(sender_transport_maps_, sender_key);
                if (!found) return fail(std::move(found.error()));
                if (*found && !smtp::equals_ignoring_case((*found)->value, "DUNNO")) transport = (*found)->value;
            }
            chosen = split_transport(transport);
            if (chosen.nexthop.empty()) {
                auto found = keys_.find(sender_relayhost_maps_,
                                        sender.empty() ? null_sender_relayhost_key_ : std::string(sender));
                if (!found) return fail(std::move(found.error()));
                if (*found && !smtp::equals_ignoring_case((*found)->value, "DUNNO")) {
                    chosen.nexthop = (*found)->value;
                } else {
                    chosen.nexthop = relayhost_;
                }
            }
            break;
        }
    }
    out.transport = std::move(chosen.transport);
    out.nexthop = chosen.nexthop.empty() ? domain : std::move(chosen.nexthop);

    auto mapped = apply_transport_maps(out);
    if (!mapped) return mapped;

    auto moved = keys_.find(relocated_maps_, out.recipient);
    if (!moved) return fail(std::move(moved.error()));
    if (*moved) {
        out.transport = "error";
        out.nexthop = "5.1.6 User has moved to " + (*moved)->value;
    }
    return {};
}

// transport(5): user+ext@domain, user@domain, domain, .parent domains, "*".
Expected<void> Resolver::apply_transport_maps(Resolution& out) const {
    if (transport_maps_.empty()) return {};
    const auto folded = smtp::lower(out.recipient);
    const auto domain = std::string(domain_of(folded));
    std::string value;
    bool matched = false;
    auto attempt = [&](std::string_view key, bool partial) -> Expected<bool> {
        auto found = transport_maps_.find(key, partial);
        if (!found) return fail(std::move(found.error()));
        if (!*found) return false;
        value = std::move(**found);
        matched = true;
        return true;
    };
    auto step = attempt(folded, false);
    if (!step) return fail(std::move(step.error()));
    const auto local = std::string_view(folded).substr(0, folded.rfind('@'));
    const size_t plus = find_extension(local, keys_.delimiters(), keys_.owner_request_special());
    if (!matched && plus != std::string_view::npos) {
        step = attempt(std::string(local.substr(0, plus)) + '@' + domain, true);
        if (!step) return fail(std::move(step.error()));
    }
    if (!matched && !domain.empty()) {
        step = attempt(domain, true);
        if (!step) return fail(std::move(step.error()));
    }
    for (size_t dot = domain.find('.', 1); !matched && dot != std::string::npos && domain[0] != '[';
         dot = domain.find('.', dot + 1)) {
        step = attempt(std::string_view(domain).substr(dot), true);
        if (!step) return fail(std::move(step.error()));
    }
    if (!matched) {
        step = attempt("*", true);
        if (!step) return fail(std::move(step.error()));
    }
    if (!matched) return {};
    auto chosen = split_transport(value);
    // A transport without next hop resets it to the recipient's domain; ":" alone changes nothing.
    if (!chosen.transport.empty()) {
        out.transport = chosen.transport;
        out.nexthop = chosen.nexthop.empty() ? std::string(domain_of(out.recipient)) : chosen.nexthop;
    } else if (!chosen.nexthop.empty()) {
        out.nexthop = chosen.nexthop;
    }
    return {};
}

}   // namespace postcot::address
