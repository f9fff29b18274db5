// One connection in a front, before login. The protocol's `front` function reads commands from stream() and calls
// login().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libproto/config/dovecot.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/stream.h"

namespace postcot::login {

class Front;
struct Connection;

struct LoginOutcome {
    enum class Kind {
        kLoggedIn,   // the connection is gone from here: return from `front` at once
        kFailed,     // `code` and `text` for the client: AUTHENTICATIONFAILED, AUTHORIZATIONFAILED, EXPIRED, LIMIT ...
        kUnavailable,   // no answer from authd or parent: UNAVAILABLE
        kCancelled,     // the client answered "*"
        kBadBase64,     // the client's response is not base64
        kDisallowed,    // disable_plaintext_auth: PRIVACYREQUIRED
        kUnsupported,   // no such mechanism
        kLost,          // the client is gone
    } kind = Kind::kLost;
    std::string code;   // an IMAP response code (RFC 5530); POP3 maps it to its own (RFC 3206)
    std::string text;
};

// Asks the client for its next SASL response. Gets the challenge's octets; gives the response as the client wrote it,
// in base64 ("*" cancels). An error means that the client is gone.
using Challenger = std::function<Task<Expected<std::string>>(std::string challenge)>;

class FrontClient {
  public:
    FrontClient(Front& front, Connection& connection) : front_(front), connection_(connection) {}

    Stream& stream();
    const config::DovecotConf& conf() const;
    std::string greeting() const;   // login_greeting
    const std::string& remote_address() const;
    const std::string& session_id() const;
    bool tls() const;
    bool secured() const;              // TLS, the same host, or login_trusted_networks
    bool starttls_available() const;   // ssl is not "no" and TLS is not on
    // disable_plaintext_auth or ssl = required, and the connection is not secured: PLAIN, LOGIN and USER/PASS are
    // refused.
    bool plaintext_disabled() const;
    std::vector<std::string> mechanisms() const;   // to announce now

    // The client has three minutes in all (Dovecot's own): use this as the time-out of each read before login.
    Millis time_left() const;

    // After the go-ahead was written: flushes, drops pipelined input (RFC 3501 §6.2.1), shakes hands. False: the client
    // is gone.
    Task<bool> start_tls();

    // AUTHENTICATE: `initial` is base64 as the client sent it ("=" for an empty one).
    Task<LoginOutcome> authenticate(std::string mechanism, std::optional<std::string> initial, Challenger challenger,
                                    std::string payload);
    // LOGIN, USER/PASS: through the PLAIN mechanism.
    Task<LoginOutcome> login(std::string user, std::string password, std::string payload);

    // Why the connection ends, for the log: "Aborted login by logging out", "Disconnected: Too many invalid commands".
    // The default is "Disconnected: Connection closed", or "Disconnected: Inactivity" when time_left() is used up.
    void end_reason(std::string reason);

  private:
    Task<LoginOutcome> run_auth(std::string mechanism, std::string shown_method, std::optional<std::string> initial,
                                Challenger challenger, std::string payload);
    Task<LoginOutcome> hand_over(uint32_t client_pid, uint32_t request_id, std::string cookie, std::string user,
                                 std::string payload);
    Task<LoginOutcome> fail_attempt(LoginOutcome outcome);
    Front& front_;
    Connection& connection_;
};

}   // namespace postcot::login
