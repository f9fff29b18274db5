#include "libproto/address/expand.h"

#include <algorithm>
#include <set>

#include "libproto/smtp/text.h"

namespace postcot::address {
namespace {

constexpr int kMaxCanonicalRecursion = 1000;

bool contains(const std::vector<std::string>& list, std::string_view word) {
    return std::any_of(list.begin(), list.end(), [&](const auto& w) { return smtp::equals_ignoring_case(w, word); });
}

}   // namespace

Cleanup::Cleanup(const config::MainCf& main, std::shared_ptr<const Resolver> resolver)
    : resolver_(std::move(resolver)),
      always_bcc_(main.str("always_bcc")),
      masquerade_domains_(main.list("masquerade_domains")),
      masquerade_exceptions_(main.list("masquerade_exceptions")),
      masquerade_classes_(main.list("masquerade_classes")),
      expansion_limit_(static_cast<size_t>(std::max<int64_t>(1, main.integer("virtual_alias_expansion_limit")))),
      recursion_limit_(static_cast<size_t>(std::max<int64_t>(1, main.integer("virtual_alias_recursion_limit")))),
      address_length_limit_(
          static_cast<size_t>(std::max<int64_t>(1, main.integer("virtual_alias_address_length_limit")))) {
    const auto classes = main.list("canonical_classes");
    canonical_envelope_sender_ = contains(classes, "envelope_sender");
    canonical_envelope_recipient_ = contains(classes, "envelope_recipient");
    canonical_header_sender_ = contains(classes, "header_sender");
    canonical_header_recipient_ = contains(classes, "header_recipient");
    const auto propagate = main.list("propagate_unmatched_extensions");
    propagate_canonical_ = contains(propagate, "canonical");
    propagate_virtual_ = contains(propagate, "virtual");
}

Expected<std::shared_ptr<const Cleanup>> Cleanup::open(const config::MainCf& main,
                                                       std::shared_ptr<const Resolver> resolver) {
    std::shared_ptr<Cleanup> c(new Cleanup(main, std::move(resolver)));
    struct Map {
        const char* name;
        table::Maps Cleanup::*member;
    };
    for (const auto& m :
         {Map{"canonical_maps", &Cleanup::canonical_maps_},
          Map{"sender_canonical_maps", &Cleanup::sender_canonical_maps_},
          Map{"recipient_canonical_maps", &Cleanup::recipient_canonical_maps_},
          Map{"virtual_alias_maps", &Cleanup::virtual_alias_maps_}, Map{"sender_bcc_maps", &Cleanup::sender_bcc_maps_},
          Map{"recipient_bcc_maps", &Cleanup::recipient_bcc_maps_}}) {
        auto maps = table::Maps::open(main.str(m.name), main, m.name);
        if (!maps) return fail(std::move(maps.error()));
        (*c).*m.member = std::move(*maps);
    }
    return std::shared_ptr<const Cleanup>(std::move(c));
}

Expected<std::string> Cleanup::map_once(std::string address, const table::Maps& maps, bool propagate) const {
    for (int count = 0; count < kMaxCanonicalRecursion; ++count) {
        auto found = keys().find(maps, address);
        if (!found) return fail(std::move(found.error()));
        if (!*found) return address;
        auto results = split_addresses((*found)->value);
        if (results.empty()) return address;
        auto next = resolver_->rewriter().local(Keys::apply(results.front(), **found, propagate));
        if (smtp::equals_ignoring_case(next, address)) return next;   // its own result: done
        address = std::move(next);
    }
    return fail(451, "4.6.0", "unreasonable canonical map nesting for " + address);
}

Expected<std::string> Cleanup::canonical(std::string address, const table::Maps& specific) const {
    auto mapped = map_once(std::move(address), specific, propagate_canonical_);
    if (!mapped) return mapped;
    return map_once(std::move(*mapped), canonical_maps_, propagate_canonical_);
}

std::string Cleanup::masquerade(std::string address, std::string_view address_class) const {
    if (masquerade_domains_.empty() || !contains(masquerade_classes_, address_class)) return address;
    const size_t at = address.rfind('@');
    if (at == std::string::npos) return address;
    if (contains(masquerade_exceptions_, std::string_view(address).substr(0, at))) return address;
    const auto domain = smtp::lower(std::string_view(address).substr(at + 1));
    for (const auto& entry : masquerade_domains_) {   // the first match wins; "!" excludes
        const bool excluded = !entry.empty() && entry.front() == '!';
        const auto parent = smtp::lower(excluded ? std::string_view(entry).substr(1) : std::string_view(entry));
        const bool same = domain == parent;
        const bool below = domain.size() > parent.size() && domain[domain.size() - parent.size() - 1] == '.' &&
                           domain.compare(domain.size() - parent.size(), parent.size(), parent) == 0;
        if (!same && !below) continue;
        if (!excluded && below) return address.substr(0, at + 1) + parent;
        return address;
    }
    return address;
}

Expected<std::string> Cleanup::envelope_sender(std::string_view address) const {
    if (address.empty()) return std::string();
    auto out = resolver_->rewriter().local(address);
    if (canonical_envelope_sender_) {
        auto mapped = canonical(std::move(out), sender_canonical_maps_);
        if (!mapped) return mapped;
        out = std::move(*mapped);
    }
    return masquerade(std::move(out), "envelope_sender");
}

Expected<std::string> Cleanup::envelope_recipient(std::string_view address) const {
    auto out = resolver_->rewriter().local(address);
    if (canonical_envelope_recipient_) {
        auto mapped = canonical(std::move(out), recipient_canonical_maps_);
        if (!mapped) return mapped;
        out = std::move(*mapped);
    }
    return masquerade(std::move(out), "envelope_recipient");
}

Expected<std::string> Cleanup::header_sender(std::string_view address) const {
    auto out = resolver_->rewriter().local(address);
    if (canonical_header_sender_) {
        auto mapped = canonical(std::move(out), sender_canonical_maps_);
        if (!mapped) return mapped;
        out = std::move(*mapped);
    }
    return masquerade(std::move(out), "header_sender");
}

Expected<std::string> Cleanup::header_recipient(std::string_view address) const {
    auto out = resolver_->rewriter().local(address);
    if (canonical_header_recipient_) {
        auto mapped = canonical(std::move(out), recipient_canonical_maps_);
        if (!mapped) return mapped;
        out = std::move(*mapped);
    }
    return masquerade(std::move(out), "header_recipient");
}

Expected<std::vector<std::string>> Cleanup::expand_recipient(std::string_view address) const {
    auto start = envelope_recipient(address);
    if (!start) return fail(std::move(start.error()));
    if (virtual_alias_maps_.empty()) return std::vector<std::string>{std::move(*start)};

    struct Pending {
        std::string address;
        size_t depth = 0;
        bool final_form = false;   // an alias that names itself: delivered, not expanded again
    };
    std::vector<Pending> work;
    work.push_back({*start, 0, false});
    std::vector<std::string> out;
    std::set<std::string> given;      // lower-cased addresses already in `out`
    std::set<std::string> expanded;   // ... and those already looked up, so that loops end
    auto too_much = [&](const char* what) {
        return fail(451, "4.6.0",
                    std::string("unreasonable virtual_alias_maps map ") + what + " for " + *start +
                        " -- message not accepted, try again later");
    };
    for (size_t i = 0; i < work.size(); ++i) {
        if (work.size() > expansion_limit_) return too_much("expansion size");
        auto current = std::move(work[i]);
        const auto folded = smtp::lower(current.address);
        std::optional<Found> found;
        if (!current.final_form && expanded.insert(folded).second) {
            auto looked_up = keys().find(virtual_alias_maps_, current.address);
            if (!looked_up) return fail(std::move(looked_up.error()));
            found = std::move(*looked_up);
        } else if (!current.final_form) {
            continue;   // reached twice: the first time counts
        }
        if (!found) {
            if (given.insert(folded).second) out.push_back(std::move(current.address));
            continue;
        }
        if (current.depth >= recursion_limit_) return too_much("nesting");
        for (const auto& result : split_addresses(found->value)) {
            auto next = resolver_->rewriter().local(Keys::apply(result, *found, propagate_virtual_));
            if (next.size() > address_length_limit_) return too_much("result length");
            Pending pending;
            pending.final_form = smtp::equals_ignoring_case(next, current.address);
            pending.depth = current.depth + 1;
            pending.address = std::move(next);
            work.push_back(std::move(pending));
        }
    }
    if (out.empty()) out.push_back(std::move(*start));   // a loop without way out: the resolver refuses it by its class
    return out;
}

Expected<std::vector<std::string>> Cleanup::bcc_of_sender(std::string_view sender) const {
    std::vector<std::string> out;
    if (!always_bcc_.empty()) out.push_back(resolver_->rewriter().local(always_bcc_));
    if (sender.empty()) return out;
    auto found = keys().find(sender_bcc_maps_, sender);
    if (!found) return fail(std::move(found.error()));
    if (*found && !(*found)->value.empty()) out.push_back(resolver_->rewriter().local((*found)->value));
    return out;
}

Expected<std::vector<std::string>> Cleanup::bcc_of_recipient(std::string_view recipient) const {
    std::vector<std::string> out;
    auto found = keys().find(recipient_bcc_maps_, recipient);
    if (!found) return fail(std::move(found.error()));
    if (*found && !(*found)->value.empty()) out.push_back(resolver_->rewriter().local((*found)->value));
    return out;
}

Expected<bool> Cleanup::is_alias(std::string_view address, bool as_sender) const {
    for (const auto* maps :
         {&virtual_alias_maps_, &canonical_maps_, as_sender ? &sender_canonical_maps_ : &recipient_canonical_maps_}) {
        auto found = keys().find(*maps, address);
        if (!found) return fail(std::move(found.error()));
        if (*found) return true;
    }
    return false;
}

}   // namespace postcot::address
