// What cleanup(8) does to envelope and header addresses through tables: canonical, masquerade, virtual alias expansion,
// automatic bcc (ADDRESS_REWRITING_README).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/address/lookup.h"
#include "libproto/address/resolve.h"
#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/table/table.h"

namespace postcot::address {

class Cleanup {
  public:
    // Errors name the parameter. `resolver` says which domains are ours.
    static Expected<std::shared_ptr<const Cleanup>> open(const config::MainCf& main,
                                                         std::shared_ptr<const Resolver> resolver);

    // Envelope sender: standard form, sender_canonical_maps, canonical_maps, masquerade. The null sender stays null.
    Expected<std::string> envelope_sender(std::string_view address) const;
    // Envelope recipient: standard form, recipient_canonical_maps, canonical_maps, masquerade (when masquerade_classes
    // says so).
    Expected<std::string> envelope_recipient(std::string_view address) const;
    // envelope_recipient(), then virtual_alias_maps as long as they match. At least one address, without repetitions.
    // Error 451 4.6.0 past virtual_alias_expansion_limit, virtual_alias_recursion_limit or
    // virtual_alias_address_length_limit.
    Expected<std::vector<std::string>> expand_recipient(std::string_view address) const;

    // Header addresses of local clients (From, Sender ... and To, Cc ...).
    Expected<std::string> header_sender(std::string_view address) const;
    Expected<std::string> header_recipient(std::string_view address) const;

    // always_bcc, sender_bcc_maps (once a message) and recipient_bcc_maps (each recipient, before alias expansion).
    Expected<std::vector<std::string>> bcc_of_sender(std::string_view sender) const;
    Expected<std::vector<std::string>> bcc_of_recipient(std::string_view recipient) const;

    const Resolver& resolver() const { return *resolver_; }
    // Is the recipient rewritten by canonical or virtual_alias_maps? Then it exists (smtpd's recipient validation).
    Expected<bool> is_alias(std::string_view address, bool as_sender) const;

  private:
    Cleanup(const config::MainCf& main, std::shared_ptr<const Resolver> resolver);
    Expected<std::string> canonical(std::string address, const table::Maps& specific) const;
    Expected<std::string> map_once(std::string address, const table::Maps& maps, bool propagate) const;
    const Keys& keys() const { return resolver_->keys(); }
    std::string masquerade(std::string address, std::string_view address_class) const;

    std::shared_ptr<const Resolver> resolver_;
    table::Maps canonical_maps_, sender_canonical_maps_, recipient_canonical_maps_, virtual_alias_maps_;
    table::Maps sender_bcc_maps_, recipient_bcc_maps_;
    std::string always_bcc_;
    bool canonical_envelope_sender_ = true, canonical_envelope_recipient_ = true;
    bool canonical_header_sender_ = true, canonical_header_recipient_ = true;
    std::vector<std::string> masquerade_domains_, masquerade_exceptions_, masquerade_classes_;
    bool propagate_canonical_ = true, propagate_virtual_ = true;
    size_t expansion_limit_ = 1000;
    size_t recursion_limit_ = 1000;
    size_t address_length_limit_ = 1000;
};

}   // namespace postcot::address
