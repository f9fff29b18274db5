// Inside libproto/login: the sockets of `service NAME-login { inet_listener ... }`, or those that systemd hands over.
#pragma once

#include <string>
#include <vector>

#include "libproto/config/dovecot.h"
#include "libproto/runtime/fd.h"

namespace postcot::login {

struct ServiceListener {
    UniqueFd fd;
    bool ssl = false;    // TLS from the first octet
    std::string name;    // "imap", "imaps"
    std::string where;   // address and port, to find it again on reload
};

// Sockets of `open` (from before a reload) that are still wanted are taken over. Errors name the address and leave `open` as it was.
Expected<std::vector<ServiceListener>> open_listeners(const config::DovecotConf& conf, const std::string& service,
                                                      std::vector<ServiceListener>& open);

}   // namespace postcot::login
