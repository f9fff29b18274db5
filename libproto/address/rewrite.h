// trivial-rewrite(8), first half: the standard form of an address (postconf(5) "append_at_myorigin" and its
// neighbours).
//
// All of libproto/address takes and gives the *internal* form: local@domain with the local part unquoted ("a b@c"),
// which is what tables and logs hold. smtp::to_external() and smtp::to_internal() convert.
#pragma once

#include <string>
#include <string_view>

#include "libproto/config/postfix.h"

namespace postcot::address {

// $myorigin; Debian's "/etc/mailname" form is read from that file's first line ($myhostname when it cannot be read).
std::string origin(const config::MainCf& main);

class Rewriter {
  public:
    explicit Rewriter(const config::MainCf& main);

    // Envelope addresses, and header addresses of clients in local_header_rewrite_clients: source route stripped,
    // site!user and user%domain turned, @$myorigin and .$mydomain appended. The empty address stays empty.
    std::string local(std::string_view address) const;
    // Header addresses of other clients: remote_header_rewrite_domain in place of $myorigin; unchanged when that is
    // empty.
    std::string remote(std::string_view address) const;

    bool swap_bangpath() const { return swap_bangpath_; }
    bool percent_hack() const { return percent_hack_; }
    const std::string& my_origin() const { return origin_; }

  private:
    std::string rewrite(std::string_view address, const std::string& origin, const std::string& domain) const;

    std::string origin_;
    std::string domain_;
    std::string remote_domain_;
    bool append_at_myorigin_;
    bool append_dot_mydomain_;
    bool swap_bangpath_;
    bool percent_hack_;
};

}   // namespace postcot::address
