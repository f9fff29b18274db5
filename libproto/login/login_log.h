// Dovecot's login log lines: login_log_format, login_log_format_elements, and why a connection that never logged in
// ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postcot::login {

struct LoginLogFacts {
    std::string user, method;
    std::string remote_address, local_address;
    uint16_t remote_port = 0, local_port = 0;
    uint32_t mail_pid = 0;
    bool tls = false;
    bool tls_handshaking = false;
    bool secured = false;
    std::string tls_protocol, tls_cipher;
    std::string session_id;
};

// "Login: user=<u>, method=PLAIN, rip=..., lip=..., mpid=123, secured, session=<...>". Elements that turn out empty are
// left out, but for user.
std::string format_login_line(std::string_view format, std::string_view elements, const LoginLogFacts& facts,
                              std::string_view message);

// " (auth failed, 1 attempts in 2 secs)" and its kin. fail2ban's dovecot filter reads these.
struct EndFacts {
    unsigned attempts = 0;          // that failed
    bool authenticating = false;    // one is under way
    bool tried_plaintext = false;   // refused by disable_plaintext_auth
    unsigned successes = 0;         // authd said yes but there is no session
    unsigned seconds = 0;           // since the connection, or since the first attempt
};
std::string format_end(std::string_view reason, const EndFacts& facts);

// Dovecot's session id: time, port and address in base64, so that it is unique on this host.
std::string make_session_id(uint64_t microseconds, std::string_view remote_address, uint16_t remote_port);

// login_trusted_networks: "10.0.0.0/8 ::1".
bool in_networks(std::string_view networks, std::string_view address);

}   // namespace postcot::login
