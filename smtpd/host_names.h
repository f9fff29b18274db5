// Names and addresses from the DNS, for the client's name and for restrictions. On the loop: a slow answer delays only who asked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libproto/dns/records.h"
#include "libproto/error.h"
#include "libproto/runtime/task.h"
#include "smtpd/context.h"

namespace postcot::smtpd {

class HostNames {
  public:
    HostNames();
    ~HostNames();
    // Reads resolv.conf and hosts: after the fork, before the sandbox. Without it every lookup ends as temporary.
    Expected<void> open();

    // smtpd_peername_lookup: PTR, then A/AAAA of that name must hold the address again. Fills names and statuses of `client`.
    Task<void> find_client_name(Client& client);
    // Has the domain MX, A or AAAA records (reject_unknown_sender_domain, reject_unknown_recipient_domain)? A null MX (RFC 7505) counts as none.
    Task<Lookup> mail_domain(std::string domain);
    // Has the host A, AAAA or MX records (reject_unknown_helo_hostname)?
    Task<Lookup> host(std::string name);
    // The A records of a DNS list's name, in text, and its TXT record for the refusal. Empty: not listed, or no answer.
    Task<std::vector<std::string>> listed(std::string name);
    Task<std::string> reason(std::string name);
    // What check_xxx_mx_access, _ns_access and _a_access look at: host names and their addresses.
    Task<std::vector<std::string>> related_hosts(std::string domain, dns::Type type);
    Task<std::vector<std::string>> addresses(std::string name);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}   // namespace postcot::smtpd
