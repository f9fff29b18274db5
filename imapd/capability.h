// What imapd announces: RFC 3501 §7.2.1. Only what works is in here.
#pragma once

#include <string>

#include "libproto/config/dovecot.h"
#include "libproto/login/front_client.h"

namespace postcot::imapd {

// Before login: what matters to it. imap_capability "+X" adds, anything else replaces.
std::string capability_before_login(const login::FrontClient& client);
std::string capability_after_login(const config::DovecotConf& conf);

}   // namespace postcot::imapd
