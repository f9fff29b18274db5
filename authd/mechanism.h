// SASL mechanisms on Cyrus SASL (libsasl2): the library runs each mechanism's exchange; whether a password is right is asked of our passdbs.
//
// The library wants to know that at once, in a callback, while a passdb may take seconds. So for PLAIN and LOGIN the callback only takes the credentials out:
// an exchange never ends here with "authenticated", its best end is kCredentials, and only Authenticator can turn those into an OK.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/sasl/auth_protocol.h"

namespace postcot::authd {

struct Credentials {
    std::string authentication_id;   // whose password it is
    std::string authorization_id;    // who to act as; empty: the same
    std::string password;
};

struct Step {
    enum class Kind { kChallenge, kCredentials, kInvalid } kind = Kind::kInvalid;
    std::string challenge;
    Credentials credentials;
    std::string error;   // kInvalid: for the log
};

// Loads libsasl2's plug-ins: once per process, before the sandbox. Checks that each of `wanted` is there and known to us; gives their MECH lines in order.
// The error names the mechanism (package libsasl2-modules is missing, or we do not support it yet).
Expected<std::vector<sasl::Mechanism>> start_sasl(const std::vector<std::string>& wanted);

class Exchange {
  public:
    // `mechanism` in upper case and one of those that start_sasl() gave.
    explicit Exchange(std::string mechanism);
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    Step start(const std::optional<std::string>& initial_response);
    Step next(const std::string& response);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}   // namespace postcot::authd
