#include "libproto/login/login_log.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "libproto/sasl/base64.h"

namespace postcot::login {

namespace {

std::string value_of(std::string_view name, const LoginLogFacts& facts) {
    if (name == "u" || name == "user") return facts.user;
    if (name == "n" || name == "username") return facts.user.substr(0, facts.user.find('@'));
    if (name == "d" || name == "domain") {
        size_t at = facts.user.find('@');
        return at == std::string::npos ? std::string() : facts.user.substr(at + 1);
    }
    if (name == "m" || name == "mech" || name == "mechanism") return facts.method;
    if (name == "r" || name == "rip" || name == "remote_ip") return facts.remote_address;
    if (name == "l" || name == "lip" || name == "local_ip") return facts.local_address;
    if (name == "a" || name == "lport") return facts.local_port ? std::to_string(facts.local_port) : std::string();
    if (name == "b" || name == "rport") return facts.remote_port ? std::to_string(facts.remote_port) : std::string();
    if (name == "e" || name == "mail_pid" || name == "mpid")
        return facts.mail_pid ? std::to_string(facts.mail_pid) : std::string();
    if (name == "c" || name == "secured")
        return facts.tls_handshaking ? "TLS handshaking" : facts.tls ? "TLS" : facts.secured ? "secured" : "";
    if (name == "k" || name == "ssl_security") {
        if (!facts.tls) return {};
        return fmt::format("{} with cipher {}", facts.tls_protocol, facts.tls_cipher);
    }
    if (name == "session") return facts.session_id;
    return {};
}

// Expands %x and %{name}; `any` tells whether a variable had a value.
std::string expand(std::string_view text, const LoginLogFacts& facts, bool& any, bool& has_user) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        std::string_view name;
        if (text[i + 1] == '{') {
            size_t end = text.find('}', i);
            if (end == std::string_view::npos) break;
            name = text.substr(i + 2, end - i - 2);
            i = end;
        } else {
            name = text.substr(i + 1, 1);
            ++i;
        }
        if (name == "%") {
            out += '%';
            continue;
        }
        if (name == "u" || name == "user" || name == "n") has_user = true;
        std::string value = value_of(name, facts);
        if (!value.empty()) any = true;
        out += value;
    }
    return out;
}

}   // namespace

std::string format_login_line(std::string_view format, std::string_view elements, const LoginLogFacts& facts,
                              std::string_view message) {
    std::string joined;
    while (!elements.empty()) {
        size_t end = elements.find(' ');
        std::string_view element = elements.substr(0, end);
        elements.remove_prefix(end == std::string_view::npos ? elements.size() : end + 1);
        if (element.empty()) continue;
        bool any = false, has_user = false;
        std::string text = expand(element, facts, any, has_user);
        if (!any && !has_user && element.find('%') != std::string_view::npos) continue;
        if (!joined.empty()) joined += ", ";
        joined += text;
    }
    std::string out;
    for (size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%' || i + 1 == format.size()) {
            out += format[i];
        } else if (format[++i] == '$') {
            out += message;
        } else if (format[i] == 's') {
            out += joined;
        } else {
            out += format[i];
        }
    }
    return out;
}

std::string format_end(std::string_view reason, const EndFacts& facts) {
    std::string why;
    if (facts.authenticating)
        why = fmt::format("disconnected while authenticating, waited {} secs", facts.seconds);
    else if (facts.successes > 0)
        why = fmt::format("internal failure, {} successful auths", facts.successes);
    else if (facts.attempts > 0)
        why = fmt::format("auth failed, {} attempts in {} secs", facts.attempts, facts.seconds);
    else if (facts.tried_plaintext)
        why = "tried to use disallowed plaintext auth";
    else
        why = fmt::format("no auth attempts in {} secs", facts.seconds);
    return fmt::format("{} ({})", reason, why);
}

std::string make_session_id(uint64_t microseconds, std::string_view remote_address, uint16_t remote_port) {
    std::string bytes;
    for (int i = 0; i < 6; ++i) bytes += static_cast<char>(microseconds >> (8 * i) & 0xFF);
    bytes += static_cast<char>(remote_port & 0xFF);
    bytes += static_cast<char>(remote_port >> 8);
    char address[16];
    std::string text(remote_address);
    if (inet_pton(AF_INET, text.c_str(), address) == 1)
        bytes.append(address, 4);
    else if (inet_pton(AF_INET6, text.c_str(), address) == 1)
        bytes.append(address, 16);
    std::string id = sasl::base64_encode(bytes);
    while (id.ends_with('=')) id.pop_back();
    return id;
}

bool in_networks(std::string_view networks, std::string_view address) {
    unsigned char ours[16], theirs[16];
    std::string text(address);
    bool six = text.find(':') != std::string::npos;
    if (inet_pton(six ? AF_INET6 : AF_INET, text.c_str(), ours) != 1) return false;
    unsigned whole = six ? 128 : 32;
    while (!networks.empty()) {
        size_t end = networks.find_first_of(" ,\t");
        std::string_view network = networks.substr(0, end);
        networks.remove_prefix(end == std::string_view::npos ? networks.size() : end + 1);
        if (network.empty() || (network.find(':') != std::string_view::npos) != six) continue;
        unsigned bits = whole;
        size_t slash = network.find('/');
        if (slash != std::string_view::npos) {
            std::from_chars(network.data() + slash + 1, network.data() + network.size(), bits);
            network = network.substr(0, slash);
        }
        if (bits > whole || inet_pton(six ? AF_INET6 : AF_INET, std::string(network).c_str(), theirs) != 1) continue;
        bool same = std::memcmp(ours, theirs, bits / 8) == 0;
        if (same && bits % 8) same = (ours[bits / 8] ^ theirs[bits / 8]) >> (8 - bits % 8) == 0;
        if (same) return true;
    }
    return false;
}

}   // namespace postcot::login
