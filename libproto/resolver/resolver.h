// DNS lookups on the loop: libunbound asks the servers of resolv.conf and caches by their TTLs; hosts(5) is read once.
//
// An Error says what a mail program wants to know: code ENOENT no such name, ENODATA no record of that type, EAGAIN try again later (servers silent or
// SERVFAIL), EPROTO an answer that cannot be used, ECANCELED; `enhanced` is Postfix's status for it; `text` is Postfix's: "Host or domain name not found.
// Name service error for name=example.com type=MX: Host not found".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libproto/dns/records.h"
#include "libproto/error.h"
#include "libproto/runtime/loop.h"

namespace postcot::dns {

struct ResolverOptions {
    // POSTCOT_RESOLV_CONF and POSTCOT_HOSTS in the environment name others (tests: "nameserver 127.0.0.1@5353" is understood).
    std::string resolv_conf = "/etc/resolv.conf";
    std::string hosts = "/etc/hosts";
    Millis timeout{30'000};   // of one question, all servers and retries together
};

struct Records {
    std::vector<std::string> rdata;   // in the order of the answer
    std::string canonical_name;       // at the end of CNAMEs; empty when there were none
    unsigned ttl = 0;
    bool secure = false;   // DNSSEC said so
};

class Resolver {
  public:
    // Reads its files: before the sandbox. The first question starts a thread: after every fork.
    static Expected<std::unique_ptr<Resolver>> open(ResolverOptions options = {});
    ~Resolver();   // no question may be under way

    Task<Expected<Records>> query(std::string name, Type type);
    // Sorted by preference. RFC 7505: one record with an empty host is a domain that takes no mail.
    Task<Expected<std::vector<Mx>>> mx(std::string name);
    enum class Family { kAny, kIpv4, kIpv6 };
    // Addresses in text, IPv6 first. `hosts_file`: look there before DNS (smtp_host_lookup = native).
    Task<Expected<std::vector<std::string>>> addresses(std::string name, Family family, bool hosts_file);
    // The name of an address, from hosts(5) or DNS.
    Task<Expected<std::string>> reverse(std::string address);

  private:
    struct Impl;
    explicit Resolver(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Error as above.
Error lookup_error(int code, const std::string& name, Type type);

}   // namespace postcot::dns
