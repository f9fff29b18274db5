// Names and addresses from the DNS, for the client's name and for restrictions. Never delays another session: lookups run beside the
// loop, and answers are remembered for a short time.
#pragma once

#include <memory>
#include <string>

#include "libproto/runtime/task.h"
#include "smtpd/context.h"

namespace postcot::smtpd {

class HostNames {
  public:
    HostNames();
    ~HostNames();

    // smtpd_peername_lookup: PTR, then A/AAAA of that name must hold the address again. Fills names and statuses of `client`.
    Task<void> find_client_name(Client& client);
    // Has the domain MX, A or AAAA records (reject_unknown_sender_domain, reject_unknown_recipient_domain)? A null MX (RFC 7505) counts as none.
    Task<Lookup> mail_domain(std::string domain);
    // Has the host A, AAAA or MX records (reject_unknown_helo_hostname)?
    Task<Lookup> host(std::string name);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}   // namespace postcot::smtpd
