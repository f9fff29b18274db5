// Inside libproto/login: dovecot.conf's ssl_* settings as a TLS context.
#pragma once

#include <memory>

#include "libproto/config/dovecot.h"
#include "libproto/runtime/tls.h"

namespace postcot::login {

// nullptr for ssl = no. ssl_cert and ssl_key hold PEM text ("<file" was read) or name a file.
// What the fronts will load, to fail early and name file and line.
Expected<void> check_tls(const config::DovecotConf& conf, const std::string& protocol);
Expected<std::shared_ptr<TlsContext>> server_tls(const config::DovecotConf& conf, const std::string& protocol);

}   // namespace postcot::login
