// Asks an auth server (authd, or a real Dovecot's auth) whether credentials are right: the client side of Dovecot's
// auth protocol over one Unix connection that all sessions of a process share. Used by smtpd (smtpd_sasl_path) and by
// the login fronts (base_dir/login/login).
//
//     AuthClient auth(daemon_scope, "/run/dovecot/login/login");
//     (void)co_await auth.connect(Millis(5000));                                 // optional: to know mechanisms() at
//     start auto reply = co_await auth.start(std::move(request)); while (reply && reply->kind ==
//     AuthReply::Kind::kContinue) {
//         ... send reply->challenge (base64) to the client, read its line, decode: "*" ->
//         auth.cancel(reply->request_id) ... reply = co_await auth.continue_with(reply->request_id, response);
//     }
// An Expected error means: no answer (server gone, timeout); tell the client "454 4.7.0 temporary authentication
// failure" / "[UNAVAILABLE]".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"
#include "libproto/sasl/auth_protocol.h"

namespace postcot::ipc {

struct AuthRequest {
    std::string mechanism;                       // any case
    std::string service;                         // "smtp", "imap", "pop3"
    std::string local_address, remote_address;   // without brackets; empty: unknown
    uint16_t local_port = 0, remote_port = 0;
    std::string session;      // Dovecot's session id: in authd's log lines as <...>
    std::string local_name;   // SNI
    bool secured = false;     // TLS, or a local connection
    bool tls = false;
    std::string tls_protocol, tls_cipher;
    bool valid_client_cert = false;
    std::string cert_username;
    bool nologin = false;   // no AuthMaster::request() will follow: smtpd sets it
    bool no_penalty = false;
    sasl::Fields extra;                            // further parameters, as they are (doveadm auth test -x name=value)
    std::optional<std::string> initial_response;   // decoded bytes (RFC 4954 "=" is an empty one)
};

struct AuthReply {
    enum class Kind { kOk, kContinue, kFail } kind = Kind::kFail;
    uint32_t request_id = 0;
    std::string user;        // kOk: who it is. kFail: who it claimed to be, if known
    std::string challenge;   // kContinue: decoded bytes
    sasl::Fields fields;     // everything the server said (OK: user=, proxy fields; FAIL: reason= ...)
    // kFail
    bool temporary = false;       // "temp": 454 / [UNAVAILABLE]
    bool authorization = false;   // "authz": [AUTHORIZATIONFAILED]
    bool user_disabled = false;
    bool pass_expired = false;   // [EXPIRED]
    bool no_delay = false;
    std::string code;     // "invalid_base64", "temp_fail", "authz_fail", "user_disabled", "pass_expired"
    std::string reason;   // human text for the client, may be empty
    // kOk: what the parent needs for AuthMaster::request().
    uint32_t client_pid = 0;
    std::string cookie;   // server's, of the connection that this request ran on
};

class AuthClient {
  public:
    using Connector = std::function<Task<Expected<UniqueFd>>()>;

    // The reader task lives in `scope`, which is cancelled and joined before this object goes. Connects at first use
    // and again after a loss (the requests in flight then fail with ECONNRESET).
    AuthClient(Scope& scope, std::string path);
    // For processes that cannot reach the path themselves (chroot): the parent makes the connection. `client_pid`: 0
    // for getpid().
    AuthClient(Scope& scope, Connector connector, uint32_t client_pid = 0);
    ~AuthClient();

    // Connects and reads the greeting, if there is no connection yet.
    Task<Expected<void>> connect(Millis timeout);
    // As of the last greeting; empty before the first. Includes plaintext ones: it is for the caller to hide them
    // (disable_plaintext_auth, smtpd_sasl_security_options). Those with is_private are not to be announced.
    const std::vector<sasl::Mechanism>& mechanisms() const;
    const sasl::Mechanism* find_mechanism(std::string_view name) const;   // any case

    // kFail with code "unsupported" when the server does not have the mechanism. Takes as long as the server's failure
    // delay.
    Task<Expected<AuthReply>> start(AuthRequest request, Millis timeout = Millis(30000));
    Task<Expected<AuthReply>> continue_with(uint32_t request_id, std::string response, Millis timeout = Millis(30000));
    void cancel(uint32_t request_id);   // the client gave up

  private:
    Task<Expected<AuthReply>> start_once(AuthRequest request, Millis timeout);

    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}   // namespace postcot::ipc
