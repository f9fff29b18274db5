// The order in which Postfix's address-indexed tables (canonical(5), virtual(5), local_recipient_maps ...) are
// searched.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/address/own_domains.h"
#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/table/table.h"

namespace postcot::address {

// Where the extension in `local` begins, with recipient_delimiter's characters; npos when there is none. "owner-list"
// and "x-request" keep their dash (owner_request_special).
size_t find_extension(std::string_view local, std::string_view delimiters, bool owner_request_special);

struct Found {
    std::string value;
    std::string extension;   // with its delimiter, when the match ignored it: to be propagated
    std::string local;       // local part of the address searched, without that extension
};

class Keys {
  public:
    static Expected<Keys> open(const config::MainCf& main);

    // user+ext@domain, user@domain, user+ext and user (only when the domain is $myorigin or our own), @domain.
    // A pattern table sees the whole address only. Whoever asks an address-indexed table asks it here: what smtpd
    // took for a mailbox, an agent must find.
    Expected<std::optional<Found>> find(const table::Maps& maps, std::string_view address) const;

    // The result of a map lookup applied: "@other" keeps the local part, unmatched extensions are propagated when
    // asked.
    static std::string apply(const std::string& result, const Found& found, bool propagate);

    const OwnDomains& own() const { return *own_; }
    const std::string& delimiters() const { return delimiters_; }
    bool owner_request_special() const { return owner_request_special_; }

  private:
    Keys(const config::MainCf& main, std::shared_ptr<const OwnDomains> own);
    Expected<bool> is_ours(std::string_view domain) const;

    std::shared_ptr<const OwnDomains> own_;
    std::string my_origin_;
    std::string delimiters_;
    bool owner_request_special_;
};

// A table's result split at commas outside quotes, without comments; trimmed, in internal form.
std::vector<std::string> split_addresses(std::string_view result);

}   // namespace postcot::address
