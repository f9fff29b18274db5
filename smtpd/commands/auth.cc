// RFC 4954: AUTH, through a server that speaks Dovecot's auth protocol (authd, or a real Dovecot).
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>

#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/text.h"
#include "smtpd/session.h"

namespace postcot::smtpd {
namespace {

constexpr Millis kConnectTimeout{5000};

std::string encode_base64(std::string_view in) {
    std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');
    const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                  reinterpret_cast<const unsigned char*>(in.data()), static_cast<int>(in.size()));
    out.resize(static_cast<size_t>(n));
    return out;
}

bool decode_base64(std::string_view in, std::string& out) {
    if (in.size() % 4 != 0) return false;
    size_t padding = 0;
    for (size_t i = 0; i < in.size(); ++i) {
        const char c = in[i];
        if (c == '=') {
            if (i + 2 < in.size()) return false;
            ++padding;
        } else if (padding > 0 || !(smtp::is_alpha(c) || smtp::is_digit(c) || c == '+' || c == '/')) {
            return false;
        }
    }
    out.assign(in.size() / 4 * 3 + 1, '\0');
    const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                  reinterpret_cast<const unsigned char*>(in.data()), static_cast<int>(in.size()));
    if (n < 0 || static_cast<size_t>(n) < padding) return false;
    out.resize(static_cast<size_t>(n) - padding);
    return true;
}

bool usable(const sasl::Mechanism& mechanism, const Service& service, const Tables& tables, bool tls) {
    if (mechanism.is_private) return false;
    auto filtered = tables.sasl_mechanisms.matches_domain(smtp::lower(mechanism.name));
    if (!filtered || !*filtered) return false;
    if (mechanism.plaintext && (tls ? service.sasl_no_plaintext_in_tls : service.sasl_no_plaintext)) return false;
    if (mechanism.anonymous && (tls ? service.sasl_no_anonymous_in_tls : service.sasl_no_anonymous)) return false;
    return true;
}

}   // namespace

// EHLO announces what the auth server has: known once it was reached.
Task<void> Session::learn_mechanisms() {
    if (!runtime_.auth || (service_.tls_auth_only && !stream_.tls())) co_return;
    if (!runtime_.auth->mechanisms().empty()) co_return;
    auto connected = co_await runtime_.auth->connect(kConnectTimeout);
    if (!connected) log_warning("SASL: Connect to " + service_.sasl_path + " failed: " + connected.error().text);
}

// Empty: AUTH is not offered now.
std::string Session::auth_mechanisms() const {
    if (!runtime_.auth || (service_.tls_auth_only && !stream_.tls())) return {};
    if (client_in(runtime_.tables->sasl_exceptions)) return {};
    std::string out;
    for (const auto& mechanism : runtime_.auth->mechanisms()) {
        if (!usable(mechanism, service_, *runtime_.tables, stream_.tls() != nullptr)) continue;
        if (!out.empty()) out += ' ';
        out += mechanism.name;
    }
    return out;
}

Task<void> Session::on_auth(std::string_view arguments) {
    if (!runtime_.auth || client_in(runtime_.tables->sasl_exceptions) || (discard_keywords_ & kAuth)) {
        reply(503, "5.5.1", "Error: authentication not enabled");
        co_return;
    }
    if (c_.helo_name.empty() || !c_.extended) {
        reply(503, "5.5.1", "Error: send HELO/EHLO first");
        co_return;
    }
    if (c_.in_transaction) {
        reply(503, "5.5.1", "Error: MAIL transaction in progress");
        co_return;
    }
    if (service_.tls_auth_only && !stream_.tls()) {
        reply(538, "5.7.11", "Encryption required for requested authentication mechanism");
        co_return;
    }
    if (!c_.sasl_username.empty()) {
        reply(503, "5.5.1", "Error: already authenticated");
        co_return;
    }
    auto auth = smtp::parse_auth(arguments);
    if (!auth) {
        reply(auth.error());
        co_return;
    }
    co_await learn_mechanisms();
    const auto* mechanism = runtime_.auth->find_mechanism(auth->mechanism);
    if (!mechanism || !usable(*mechanism, service_, *runtime_.tables, stream_.tls() != nullptr)) {
        if (runtime_.auth->mechanisms().empty()) {
            reply(454, "4.7.0", "Temporary authentication failure: Connection lost to authentication server");
            co_return;
        }
        log_warning(c_.client.name_address() + ": SASL " + auth->mechanism +
                    " authentication failed: Invalid authentication mechanism");
        reply(504, "5.5.4", "Error: authentication failed: Invalid authentication mechanism");   // RFC 4954 §4
        co_return;
    }

    ipc::AuthRequest request;
    request.mechanism = auth->mechanism;
    request.service = service_.sasl_service;
    request.local_address = c_.client.local_address;
    request.remote_address = c_.client.address;
    request.local_port = static_cast<uint16_t>(std::atoi(c_.client.local_port.c_str()));
    request.remote_port = static_cast<uint16_t>(std::atoi(c_.client.port.c_str()));
    request.secured = request.tls = stream_.tls() != nullptr;
    request.nologin = true;
    if (auth->initial) {
        std::string response;
        if (!decode_base64(*auth->initial, response)) {   // RFC 4954 §4: 501 when the response cannot be decoded
            reply(501, "5.5.2", "Error: Invalid base64 data in initial response");
            co_return;
        }
        request.initial_response = std::move(response);
    }
    // The server holds a failure back for some seconds; the client's own timeout is longer.
    auto answer = co_await runtime_.auth->start(std::move(request));
    std::string last_challenge;
    while (answer && answer->kind == ipc::AuthReply::Kind::kContinue) {
        last_challenge = encode_base64(answer->challenge);
        reply(334, "", last_challenge);
        const auto request_id = answer->request_id;
        auto line = co_await stream_.read_line(service_.limits.sasl_response);
        if (!line) {
            runtime_.auth->cancel(request_id);
            if (line.error().code == EMSGSIZE) {
                auto skipped = co_await stream_.skip_line(1 << 20);
                if (skipped) {
                    reply(500, "5.5.6", "Error: authentication exchange line is too long");
                    co_return;
                }
                lost(skipped.error());
                co_return;
            }
            lost(line.error());
            co_return;
        }
        if (line->text == "*") {
            runtime_.auth->cancel(request_id);
            reply(501, "5.7.0", "Authentication aborted");
            co_return;
        }
        std::string response;
        if (!decode_base64(line->text, response)) {
            runtime_.auth->cancel(request_id);
            reply(501, "5.5.2", "Error: Invalid base64 data in continued response");
            co_return;
        }
        answer = co_await runtime_.auth->continue_with(request_id, std::move(response));
    }
    if (!answer) {
        log_warning(c_.client.name_address() + ": SASL " + auth->mechanism +
                    " authentication failed: " + answer.error().text);
        reply(454, "4.7.0", "Temporary authentication failure: Connection lost to authentication server");
        co_return;
    }
    if (answer->kind == ipc::AuthReply::Kind::kFail) {
        const auto reason = answer->reason.empty() ? last_challenge : answer->reason;
        log_warning(c_.client.name_address() + ": SASL " + auth->mechanism + " authentication failed: " + reason);
        if (answer->temporary) {
            reply(454, "4.7.0", "Temporary authentication failure: " + reason);
        } else {
            reply(535, "5.7.8", "Error: authentication failed: " + reason);
        }
        co_return;
    }
    c_.sasl_method = auth->mechanism;
    c_.sasl_username = answer->user;
    reply(235, "2.7.0", "Authentication successful");
}

}   // namespace postcot::smtpd
