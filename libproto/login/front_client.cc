#include "libproto/login/front_client.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "libproto/login/front.h"
#include "libproto/runtime/log.h"
#include "libproto/sasl/base64.h"

namespace postcot::login {

namespace {

constexpr unsigned kMaxFailures = 20;   // in one connection; each one waits for authd's failure delay too
constexpr Millis kHandshakeTime{60'000};

bool plaintext(const sasl::Mechanism* mechanism) { return mechanism && mechanism->plaintext; }

// "PLAIN: \0user\0password" tells who it was about even when authd does not.
std::string claimed_user(std::string_view mechanism, const std::optional<std::string>& response) {
    if (mechanism != "PLAIN" || !response) return {};
    size_t first = response->find('\0');
    if (first == std::string::npos) return {};
    size_t second = response->find('\0', first + 1);
    return response->substr(first + 1, second == std::string::npos ? std::string::npos : second - first - 1);
}

LoginOutcome outcome(LoginOutcome::Kind kind, std::string code = {}, std::string text = {}) {
    LoginOutcome out;
    out.kind = kind;
    out.code = std::move(code);
    out.text = std::move(text);
    return out;
}

}   // namespace

Stream& FrontClient::stream() { return connection_.stream; }
const config::DovecotConf& FrontClient::conf() const { return front_.conf; }
std::string FrontClient::greeting() const { return front_.conf.str("login_greeting"); }
const std::string& FrontClient::remote_address() const { return connection_.log.remote_address; }
const std::string& FrontClient::session_id() const { return connection_.log.session_id; }
bool FrontClient::tls() const { return connection_.log.tls; }
bool FrontClient::secured() const { return connection_.log.secured; }
bool FrontClient::starttls_available() const { return front_.tls && !tls(); }
bool FrontClient::plaintext_disabled() const {
    if (front_.ssl_mode == "required") return !tls();
    return front_.disable_plaintext && !secured();
}
void FrontClient::end_reason(std::string reason) { connection_.reason = std::move(reason); }

std::vector<std::string> FrontClient::mechanisms() const {
    std::vector<std::string> names;
    for (const auto& mechanism : front_.auth().mechanisms()) {
        if (mechanism.is_private || (mechanism.plaintext && plaintext_disabled())) continue;
        names.push_back(mechanism.name);
    }
    return names;
}

Millis FrontClient::time_left() const {
    auto left = std::chrono::duration_cast<Millis>(connection_.deadline - std::chrono::steady_clock::now());
    return left > Millis(0) ? left : Millis(1);
}

Task<bool> FrontClient::start_tls() {
    Connection& c = connection_;
    auto flushed = co_await c.stream.flush(time_left());
    if (!flushed) co_return false;
    c.log.tls_handshaking = true;
    auto shaken = co_await c.stream.start_tls_server(*front_.tls, std::min(time_left(), kHandshakeTime));
    if (!shaken) {
        c.reason = "Disconnected: Connection closed: TLS handshake failed: " + shaken.error().text;
        co_return false;
    }
    c.log.tls_handshaking = false;
    c.log.tls = c.log.secured = true;
    c.log.tls_protocol = c.stream.tls()->protocol;
    c.log.tls_cipher = c.stream.tls()->cipher;
    co_return true;
}

Task<LoginOutcome> FrontClient::authenticate(std::string mechanism, std::optional<std::string> initial,
                                             Challenger challenger, std::string payload) {
    std::optional<std::string> decoded;
    if (initial) {
        if (*initial == "=") {
            decoded.emplace();
        } else {
            decoded = sasl::base64_decode(*initial);
            if (!decoded)
                co_return outcome(LoginOutcome::Kind::kBadBase64, {}, "Invalid base64 data in initial response");
        }
    }
    std::string shown = mechanism;
    co_return co_await run_auth(std::move(mechanism), std::move(shown), std::move(decoded), std::move(challenger),
                                std::move(payload));
}

Task<LoginOutcome> FrontClient::login(std::string user, std::string password, std::string payload) {
    if (user.find('\0') != std::string::npos || password.find('\0') != std::string::npos)
        co_return outcome(LoginOutcome::Kind::kFailed, "AUTHENTICATIONFAILED", "Authentication failed.");
    std::string response;
    response += '\0';
    response += user;
    response += '\0';
    response += password;
    Challenger none = [](std::string) -> Task<Expected<std::string>> {
        co_return fail(EPROTO, "PLAIN has no challenge");
    };
    std::optional<std::string> initial(std::move(response));
    co_return co_await run_auth("PLAIN", "PLAIN", std::move(initial), std::move(none), std::move(payload));
}

Task<LoginOutcome> FrontClient::fail_attempt(LoginOutcome out) {
    Connection& c = connection_;
    if (c.failed++ == 0) c.first_attempt = c.started;
    if (c.failed >= kMaxFailures) {
        c.reason = "Disconnected: Too many authentication failures";
        c.deadline = std::chrono::steady_clock::now();   // the protocol's next read ends at once
    }
    co_return out;
}

Task<LoginOutcome> FrontClient::run_auth(std::string mechanism, std::string shown_method,
                                         std::optional<std::string> initial, Challenger challenger,
                                         std::string payload) {
    Connection& c = connection_;
    auto connected = co_await front_.auth().connect(Millis(10'000));
    if (!connected) {
        log::error("auth: {}", connected.error().text);
        co_return outcome(LoginOutcome::Kind::kUnavailable, "UNAVAILABLE", "Temporary authentication failure.");
    }
    const auto* known = front_.auth().find_mechanism(mechanism);
    if (!known) co_return outcome(LoginOutcome::Kind::kUnsupported, {}, "Unsupported authentication mechanism.");
    c.log.method = shown_method;
    if (plaintext(known) && plaintext_disabled()) {
        c.tried_plaintext = true;
        co_return outcome(LoginOutcome::Kind::kDisallowed, "PRIVACYREQUIRED",
                          "Plaintext authentication disallowed on non-secure (SSL/TLS) connections.");
    }

    ipc::AuthRequest request;
    request.mechanism = mechanism;
    request.service = front_.protocol.name;
    request.local_address = c.log.local_address;
    request.remote_address = c.log.remote_address;
    request.local_port = c.log.local_port;
    request.remote_port = c.log.remote_port;
    request.session = c.log.session_id;
    request.secured = c.log.secured;
    request.tls = c.log.tls;
    if (c.log.tls) {
        request.tls_protocol = c.log.tls_protocol;
        request.tls_cipher = c.log.tls_cipher;
        request.local_name = c.stream.tls()->sni;
    }
    if (std::string claimed = claimed_user(mechanism, initial); !claimed.empty()) c.log.user = claimed;
    request.initial_response = std::move(initial);

    c.authenticating = true;
    auto reply = co_await front_.auth().start(std::move(request));
    while (reply && reply->kind == ipc::AuthReply::Kind::kContinue) {
        uint32_t id = reply->request_id;
        auto line = co_await challenger(reply->challenge);
        if (!line) {
            front_.auth().cancel(id);
            co_return outcome(LoginOutcome::Kind::kLost);
        }
        if (*line == "*") {
            front_.auth().cancel(id);
            c.authenticating = false;
            auto cancelled = outcome(LoginOutcome::Kind::kCancelled, {}, "Authentication aborted by client.");
            co_return co_await fail_attempt(std::move(cancelled));
        }
        auto response = sasl::base64_decode(*line);
        if (!response) {
            front_.auth().cancel(id);
            c.authenticating = false;
            auto bad = outcome(LoginOutcome::Kind::kBadBase64, {}, "Invalid base64 data in continued response");
            co_return co_await fail_attempt(std::move(bad));
        }
        if (std::string claimed = claimed_user(mechanism, *response); !claimed.empty()) c.log.user = claimed;
        reply = co_await front_.auth().continue_with(id, std::move(*response));
    }
    c.authenticating = false;
    if (!reply) {
        if (reply.error().code == ECANCELED) co_return outcome(LoginOutcome::Kind::kLost);
        log::error("auth: {}", reply.error().text);
        co_return outcome(LoginOutcome::Kind::kUnavailable, "UNAVAILABLE", "Temporary authentication failure.");
    }
    if (!reply->user.empty()) c.log.user = reply->user;
    if (reply->kind == ipc::AuthReply::Kind::kOk) {
        ++c.successes;
        co_return co_await hand_over(reply->client_pid, reply->request_id, reply->cookie, reply->user,
                                     std::move(payload));
    }
    if (reply->temporary)
        co_return outcome(LoginOutcome::Kind::kUnavailable, "UNAVAILABLE",
                          reply->reason.empty() ? "Temporary authentication failure." : reply->reason);
    auto failed = outcome(LoginOutcome::Kind::kFailed, "AUTHENTICATIONFAILED", "Authentication failed.");
    if (reply->authorization)
        failed = outcome(LoginOutcome::Kind::kFailed, "AUTHORIZATIONFAILED", "Authorization failed.");
    if (reply->pass_expired) failed = outcome(LoginOutcome::Kind::kFailed, "EXPIRED", "Password expired.");
    if (!reply->reason.empty()) failed.text = reply->reason;
    co_return co_await fail_attempt(std::move(failed));
}

Task<LoginOutcome> FrontClient::hand_over(uint32_t client_pid, uint32_t request_id, std::string cookie,
                                          std::string user, std::string payload) {
    Connection& c = connection_;
    auto flushed = co_await c.stream.flush(time_left());
    if (!flushed) co_return outcome(LoginOutcome::Kind::kLost);

    HandOver message;
    message.sequence = front_.next_sequence();
    message.client_pid = client_pid;
    message.request_id = request_id;
    message.cookie = std::move(cookie);
    LoggedIn& facts = message.facts;
    facts.user = std::move(user);
    facts.session_id = c.log.session_id;
    facts.method = c.log.method;
    facts.remote_address = c.log.remote_address;
    facts.local_address = c.log.local_address;
    facts.remote_port = c.log.remote_port;
    facts.local_port = c.log.local_port;
    facts.tls = c.log.tls;
    facts.secured = c.log.secured;
    facts.payload = std::move(payload);

    // In the clear the client's own descriptor goes; ours is kept until the answer, for the case that it is no. Under TLS the keys stay here
    // and the session gets one end of a pair.
    UniqueFd away, inner;
    if (c.stream.tls()) {
        auto pair = socket_pair();
        if (!pair) co_return outcome(LoginOutcome::Kind::kUnavailable, "UNAVAILABLE", "Internal login failure.");
        away = std::move(pair->first);
        inner = std::move(pair->second);
    } else {
        away = UniqueFd(fcntl(c.stream.fd(), F_DUPFD_CLOEXEC, 3));
        facts.unread = c.stream.buffered();
    }
    auto frame = ipc::Channel::pack(message);
    frame.fds.push_back(std::move(away));
    auto answer = co_await front_.ask(message.sequence, std::move(frame));
    auto reply = answer ? ipc::Channel::unpack<HandedOver>(*answer) : Expected<HandedOver>(fail(answer.error()));
    if (!reply) {
        log::error("login: {}", reply.error().text);
        co_return outcome(LoginOutcome::Kind::kUnavailable, "UNAVAILABLE", "Internal login failure.");
    }
    if (reply->pid == 0) {
        c.reason = "Disconnected: " + reply->text;
        auto kind = reply->code == "UNAVAILABLE" ? LoginOutcome::Kind::kUnavailable : LoginOutcome::Kind::kFailed;
        co_return outcome(kind, reply->code, reply->text);
    }
    c.log.user = reply->user;
    c.log.mail_pid = reply->pid;
    front_.log_line(c, "Login");
    front_.left_login(c);
    if (!inner) {
        (void)c.stream.release();   // closes our copy only
        co_return outcome(LoginOutcome::Kind::kLoggedIn);
    }
    Stream session(std::move(inner));
    co_await relay(c.stream, session, kNoTimeout);
    co_return outcome(LoginOutcome::Kind::kLoggedIn);
}

}   // namespace postcot::login
