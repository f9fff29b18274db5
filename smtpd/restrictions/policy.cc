#include "smtpd/restrictions/policy.h"

#include <fmt/format.h>

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

std::string policy_request(Stage stage, const Context& c) {
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
    add("encryption_protocol", "");
    add("encryption_cipher", "");
    add("encryption_keysize", "0");
    add("policy_context", c.service->main.str("smtpd_policy_service_policy_context"));
    out += '\n';
    return out;
}

Task<Expected<std::string>> ask_policy_service(std::string service, Stage stage, const Context& c) {
    auto address = service_address(service, c);
    if (!address) co_return fail(std::move(address.error()));
    const Millis timeout = std::chrono::duration_cast<Millis>(c.service->main.time("smtpd_policy_service_timeout"));
    auto fd = co_await connect_to(*address, timeout);
    if (!fd) co_return fail(std::move(fd.error()));
    Stream stream(std::move(*fd));
    const auto request = policy_request(stage, c);
    stream.put(request);
    std::string action;
    for (int i = 0; i < kMaxLines; ++i) {
        auto line = co_await stream.read_line(kMaxLine, timeout);
        if (!line) co_return fail(std::move(line.error()));
        if (line->text.empty()) {
            if (action.empty()) co_return fail(EPROTO, "missing action attribute");
            co_return action;
        }
        if (line->text.substr(0, 7) == "action=") action = line->text.substr(7);
    }
    co_return fail(EPROTO, "reply too long");
}

}   // namespace postcot::smtpd
