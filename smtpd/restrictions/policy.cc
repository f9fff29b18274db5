#include "smtpd/restrictions/policy.h"

#include <fmt/format.h>

#include <cstring>

#include "libproto/config/values.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop_inl.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"
#include "libproto/smtp/path.h"

namespace postcot::smtpd {
namespace {

constexpr size_t kMaxLine = 4096;
constexpr int kMaxLines = 100;

const char* protocol_state(Stage stage) {
    switch (stage) {
        case Stage::kClient: return "CONNECT";
        case Stage::kHelo: return "EHLO";
        case Stage::kSender: return "MAIL";
        case Stage::kRelay:
        case Stage::kRecipient: return "RCPT";
        case Stage::kData: return "DATA";
        case Stage::kEndOfData: return "END-OF-MESSAGE";
        case Stage::kEtrn: return "ETRN";
    }
    return "";
}

Expected<SockAddr> service_address(const std::string& service, const Context& c) {
    if (service.rfind("unix:", 0) == 0) {
        auto path = service.substr(5);
        if (path.empty() || path.front() != '/') path = c.service->main.str("queue_directory") + '/' + path;
        return SockAddr::unix_path(path);
    }
    if (service.rfind("inet:", 0) == 0) {
        const auto host_port = service.substr(5);
        const size_t colon = host_port.rfind(':');
        auto host = colon == std::string::npos ? std::string("127.0.0.1") : host_port.substr(0, colon);
        if (host == "localhost") host = "127.0.0.1";
        if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
        const auto port = std::atoi(host_port.substr(colon == std::string::npos ? 0 : colon + 1).c_str());
        if (port < 1 || port > 65535) return fail(EINVAL, "bad port in " + service);
        return SockAddr::ip(host, static_cast<uint16_t>(port));
    }
    return fail(EINVAL, "expected unix:path or inet:address:port");
}

}   // namespace

std::string policy_request(Stage stage, const Context& c, std::string_view policy_context) {
    std::string out;
    auto add = [&out](const char* name, std::string_view value) {
        out += name;
        out += '=';
        for (char ch : value) out += ch == '\n' || ch == '\0' ? '?' : ch;
        out += '\n';
    };
    const bool end = stage == Stage::kData || stage == Stage::kEndOfData;
    add("request", "smtpd_access_policy");
    add("protocol_state", stage == Stage::kHelo && !c.extended ? "HELO" : protocol_state(stage));
    add("protocol_name", c.protocol());
    add("client_address", c.client.address);
    add("client_name", c.client.name);
    add("client_port", c.client.port);
    add("reverse_client_name", c.client.reverse_name);
    add("server_address", c.client.local_address);
    add("server_port", c.client.local_port);
    add("helo_name", c.helo_name);
    add("sender", smtp::to_external(c.sender));
    add("recipient", end && c.recipient_count > 1 ? std::string() : smtp::to_external(c.recipient));
    add("recipient_count", std::to_string(end ? c.recipient_count : 0));
    add("queue_id", c.queue_id);
    add("instance", fmt::format("{:x}.{}.{}", reinterpret_cast<uintptr_t>(&c), c.client.port, c.queue_id));
    add("size", std::to_string(c.size ? c.size : c.mail.size.value_or(0)));
    add("etrn_domain", c.etrn_domain);
    add("stress", "");
    add("sasl_method", c.sasl_method);
    add("sasl_username", c.sasl_username);
    add("sasl_sender", c.sasl_sender);
    add("ccert_subject", "");
    add("ccert_issuer", "");
    add("ccert_fingerprint", "");
    add("ccert_pubkey_fingerprint", "");
    add("encryption_protocol", c.tls_protocol);
    add("encryption_cipher", c.tls_cipher);
    add("encryption_keysize", std::to_string(c.tls_bits));
    add("policy_context", policy_context);
    out += '\n';
    return out;
}

Expected<PolicyService> parse_policy_service(std::string_view argument, const config::MainCf& main) {
    auto parsed = config::parse_with_attributes(argument);
    if (!parsed) return fail(std::move(parsed.error()));
    if (parsed->name.empty()) return fail(EINVAL, "empty policy service: \"" + std::string(argument) + '"');
    auto time = [&](const char* name) { return std::chrono::duration_cast<Millis>(main.time(name)); };
    PolicyService out{parsed->name,
                      time("smtpd_policy_service_timeout"),
                      time("smtpd_policy_service_retry_delay"),
                      main.integer("smtpd_policy_service_try_limit"),
                      main.str("smtpd_policy_service_default_action"),
                      main.str("smtpd_policy_service_policy_context")};
    if (!out.address.starts_with("unix:") && !out.address.starts_with("inet:"))
        return fail(EINVAL,
                    "invalid transport name in service: " + out.address + ": expected unix:path or inet:host:port");
    for (const auto& [name, value] : parsed->attributes) {
        auto bad = [&, &key = name, &given = value](const char* what) {
            return fail(EINVAL, key + ": bad " + what + ": " + given);
        };
        if (name == "timeout" || name == "retry_delay" || name == "max_idle" || name == "max_ttl") {
            auto seconds = config::parse_time(value);
            if (!seconds || seconds->count() < 1) return bad("time value or unit");
            if (name == "timeout") out.timeout = *seconds;
            if (name == "retry_delay") out.retry_delay = *seconds;
        } else if (name == "try_limit" || name == "request_limit") {
            int64_t number = 0;
            if (!config::parse_number(value, number) || number < (name == "try_limit" ? 1 : 0)) return bad("number");
            if (name == "try_limit") out.try_limit = number;
        } else if (name == "default_action") {
            out.default_action = value;
        } else if (name == "policy_context") {
            out.context = value;
        } else {
            return fail(EINVAL, "unknown option: \"" + name + " = " + value + '"');
        }
    }
    return out;
}

static Task<Expected<std::string>> ask_once(const PolicyService& service, Stage stage, const Context& c) {
    auto address = service_address(service.address, c);
    if (!address) co_return fail(std::move(address.error()));
    auto fd = co_await connect_to(*address, service.timeout);
    if (!fd) co_return fail(fd.error().code, std::strerror(fd.error().code));
    Stream stream(std::move(*fd));
    const auto request = policy_request(stage, c, service.context);
    stream.put(request);
    std::string action;
    for (int i = 0; i < kMaxLines; ++i) {
        auto line = co_await stream.read_line(kMaxLine, service.timeout);
        if (!line) co_return fail(std::move(line.error()));
        if (line->text.empty()) {
            if (action.empty()) co_return fail(EPROTO, "missing action attribute");
            co_return action;
        }
        if (line->text.substr(0, 7) == "action=") action = line->text.substr(7);
    }
    co_return fail(EPROTO, "reply too long");
}

Task<Expected<std::string>> ask_policy_service(const PolicyService& service, Stage stage, const Context& c) {
    for (int64_t tried = 1;; ++tried) {
        auto answer = co_await ask_once(service, stage, c);
        if (answer) co_return answer;
        log::warning_as(c.service->ident, "problem talking to server {}: {}", service.shown(), answer.error().text);
        if (tried >= service.try_limit) co_return answer;
        auto slept = co_await sleep_for(service.retry_delay);
        if (!slept) co_return answer;
    }
}

}   // namespace postcot::smtpd
