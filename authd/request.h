// One question to authd: a login (AUTH), or a lookup of a user (USER, PASS).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "authd/settings.h"
#include "libproto/config/variables.h"
#include "libproto/error.h"
#include "libproto/sasl/auth_protocol.h"

namespace postcot::authd {

// How a passdb or userdb answered.
enum class Result {
    kOk,
    kInternalFailure,   // could not be asked: the client gets "temporary failure"
    kMismatch,          // wrong password
    kUserUnknown,
    kUserDisabled,
    kPassExpired,
    kNoLookup,   // the driver cannot answer without a password (PASS on pam)
};

struct Request {
    explicit Request(const Settings& s) : settings(s), verbose(s.verbose) {}

    const Settings& settings;
    bool verbose;            // auth_verbose, of the passdb or userdb that is being asked if it has its own
    std::string mechanism;   // upper case; empty for lookups
    std::string service;
    std::string session;
    std::string lip, rip, lport, rport, local_name;
    bool secured = false;
    bool nologin = false;      // nobody will ask for the userdb with REQUEST
    sasl::Fields parameters;   // all that the peer said

    std::string user;            // normalised; a passdb may change it
    std::string original_user;   // as the client gave it
    std::string realm;

    // What passdbs add: `reply` goes to the client with OK, `userdb` is what userdb lookups start from (fields named userdb_...).
    sasl::Fields reply;
    sasl::Fields userdb;
    std::string failure_reason;   // for the client, with FAIL
    bool no_delay = false;
    bool no_password = false;     // the passdb in turn said nopassword=y
    bool skip_password = false;   // an earlier passdb already checked it
    bool is_login = false;        // a password is there to check, else it is a lookup

    // From a client's AUTH and a master's USER/PASS parameters.
    void take_parameters(const sasl::Fields& fields);

    // Applies auth_default_realm, auth_username_translation, auth_username_chars and auth_username_format. The error is Dovecot's log text.
    Expected<void> set_user(std::string_view name);

    // A field from a passdb: user, password, nopassword, nodelay, allow_nets, userdb_* and the rest mean what they mean in Dovecot. False: the
    // login must fail (allow_nets).
    bool add_passdb_field(const std::string& db, const std::string& name, const std::optional<std::string>& value);

    Expected<std::string> expand(std::string_view text) const;

    // "passwd-file(user,192.0.2.1,<session>): text", if verbose or always.
    void log_verbose(std::string_view who, std::string_view text) const;
    void log_error(std::string_view who, std::string_view text) const;
    void log_debug(std::string_view who, std::string_view text) const;
    std::string log_prefix(std::string_view who) const;

    // "Password mismatch", with what auth_verbose_passwords allows to show.
    void log_mismatch(std::string_view who, std::string_view password) const;
};

// allow_nets: "192.0.2.0/24,2001:db8::/32,local". An error text when the address is not in it.
std::optional<std::string> check_allow_nets(std::string_view nets, const std::string& remote_address);

// "*" and "?" masks of username_filter and LIST.
bool matches_mask(std::string_view text, std::string_view mask);

}   // namespace postcot::authd
