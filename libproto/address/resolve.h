// trivial-rewrite(8), second half: which address class a recipient is in and which transport and next hop it takes
// (ADDRESS_CLASS_README).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "libproto/address/lookup.h"
#include "libproto/address/rewrite.h"
#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/table/table.h"

namespace postcot::address {

enum class DomainClass {
    kLocal,            // mydestination, or a literal of one of our interfaces
    kVirtualAlias,     // virtual_alias_domains: every recipient must be an alias
    kVirtualMailbox,   // virtual_mailbox_domains
    kRelay,            // relay_domains
    kDefault,          // everything else
};

struct Resolution {
    DomainClass domain_class = DomainClass::kDefault;
    // The local part held another @, %, or ! route, or what is left after stripping our domain did: where it ends is
    // the sender's word (allow_untrusted_routing). Such a recipient is never an authorized destination.
    bool routed = false;
    std::string transport;   // master.cf service: "local", "virtual", "smtp", "relay", "error" ...
    std::string
        nexthop;   // "example.com", "[relay]:587", "myhost"; for error: "5.1.1 User unknown in virtual alias table"
    std::string recipient;   // standard form; differs from what was asked when routes were undone

    bool is_final() const { return domain_class != DomainClass::kRelay && domain_class != DomainClass::kDefault; }
};

class Resolver {
  public:
    // Opens the tables. Errors name the parameter.
    static Expected<std::shared_ptr<const Resolver>> open(const config::MainCf& main);

    // `sender` chooses among sender_dependent_* ("" for the null sender). An error is a table's: temporary.
    Expected<Resolution> resolve(std::string_view sender, std::string_view recipient) const;

    Expected<bool> is_local_domain(std::string_view domain) const { return keys_.own().has_domain(domain); }
    bool is_own_address(std::string_view ip) const { return keys_.own().has_address(ip); }
    Expected<DomainClass> classify(std::string_view domain) const;
    const Rewriter& rewriter() const { return rewriter_; }
    const Keys& keys() const { return keys_; }

  private:
    Resolver(const config::MainCf& main, Keys keys);
    Expected<void> route(std::string_view sender, Resolution& out) const;
    Expected<void> apply_transport_maps(Resolution& out) const;

    Rewriter rewriter_;
    Keys keys_;
    table::MatchList virtual_alias_domains_, virtual_mailbox_domains_, relay_domains_;
    table::Maps transport_maps_, relocated_maps_, sender_relayhost_maps_, sender_transport_maps_;
    std::string my_hostname_, relayhost_;
    std::string local_transport_, virtual_transport_, relay_transport_, default_transport_;
    std::string null_sender_transport_key_, null_sender_relayhost_key_;
    bool show_table_name_ = true;
    bool resolve_null_domain_ = false;
    bool resolve_numeric_domain_ = false;
};

// "transport:nexthop" as transport(5) writes it; each part may be empty.
struct TransportNexthop {
    std::string transport, nexthop;
};
TransportNexthop split_transport(std::string_view value);

}   // namespace postcot::address
