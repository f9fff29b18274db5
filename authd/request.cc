#include "authd/request.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cstring>

#include "libproto/runtime/log.h"

namespace postcot::authd {

namespace {

constexpr size_t kMaxLoggedUser = 64;   // Dovecot's MAX_LOG_USERNAME_LEN

struct Network {
    unsigned char bytes[16];
    int family;
    unsigned bits;
};

std::optional<Network> parse_network(std::string text) {
    Network net{};
    std::string prefix;
    if (auto slash = text.find('/'); slash != std::string::npos) {
        prefix = text.substr(slash + 1);
        text.resize(slash);
    }
    if (inet_pton(AF_INET, text.c_str(), net.bytes) == 1)
        net.family = AF_INET;
    else if (inet_pton(AF_INET6, text.c_str(), net.bytes) == 1)
        net.family = AF_INET6;
    else
        return std::nullopt;
    unsigned all = net.family == AF_INET ? 32 : 128;
    net.bits = all;
    if (!prefix.empty()) {
        if (prefix.size() > 3 || prefix.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
        net.bits = static_cast<unsigned>(std::stoul(prefix));
        if (net.bits > all) return std::nullopt;
    }
    return net;
}

bool contains(const Network& net, const Network& address) {
    if (net.family != address.family) return false;
    unsigned whole = net.bits / 8, rest = net.bits % 8;
    if (std::memcmp(net.bytes, address.bytes, whole) != 0) return false;
    return rest == 0 || (net.bytes[whole] >> (8 - rest)) == (address.bytes[whole] >> (8 - rest));
}

std::string sha1_hex(std::string_view text) {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), out, &size, EVP_sha1(), nullptr);
    std::string hex;
    for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", out[i]);
    return hex;
}

bool says_yes(const std::optional<std::string>& value) {
    return !value || value->empty() || (*value)[0] == 'y' || (*value)[0] == 'Y' || *value == "1" || *value == "true";
}

}   // namespace

void Request::take_parameters(const sasl::Fields& fields) {
    parameters = fields;
    service = fields.get("service");
    session = fields.get("session");
    lip = fields.get("lip");
    rip = fields.get("rip");
    lport = fields.get("lport");
    rport = fields.get("rport");
    local_name = fields.get("local_name");
    secured = fields.has("secured");
    nologin = fields.has("nologin");
}

Expected<void> Request::set_user(std::string_view name) {
    if (original_user.empty()) original_user = std::string(name);
    if (name.empty()) return fail(0, "Empty username");
    std::string next(name);
    if (next.find('@') == std::string::npos && !settings.default_realm.empty()) next += "@" + settings.default_realm;
    for (char& c : next) {
        if (char other = settings.username_translation[static_cast<unsigned char>(c)]) c = other;
        if (!settings.username_chars.test(static_cast<unsigned char>(c))) {
            return fail(0, fmt::format("Username character disallowed by auth_username_chars: 0x{:02x} (username: {})",
                                       static_cast<unsigned>(static_cast<unsigned char>(c)), name.substr(0, 128)));
        }
    }
    user = next;
    if (!settings.username_format.empty()) {
        auto formatted = expand(settings.username_format);
        if (!formatted) return fail(0, "Failed to expand username_format: " + formatted.error().text);
        if (formatted->empty()) return fail(0, "auth_username_format generated an empty username");
        user = std::move(*formatted);
    }
    return {};
}

bool Request::add_passdb_field(const std::string& db, const std::string& name,
                               const std::optional<std::string>& value) {
    std::string text = value.value_or(std::string());
    if (name.rfind("userdb_", 0) == 0) {
        value ? userdb.add(name.substr(7), text) : userdb.add(name.substr(7));
    } else if (name == "password" || name == "password_noscheme") {
        // the driver's
    } else if (name == "user" || name == "username" || name == "domain") {
        std::string next = text;
        if (name == "username") {
            if (auto at = user.find('@'); at != std::string::npos) next += user.substr(at);
        } else if (name == "domain") {
            next = user.substr(0, user.find('@')) + "@" + text;
        }
        if (!next.empty() && next != user) {
            log_debug(db, "username changed " + user + " -> " + next);
            user = std::move(next);
        }
    } else if (name == "nodelay") {
        no_delay = true;
        reply.add(name, text);
    } else if (name == "nopassword") {
        no_password = says_yes(value);
    } else if (name == "allow_nets") {
        if (auto refused = check_allow_nets(text, rip)) {
            log_verbose(db, "allow_nets check failed: " + *refused);
            return false;
        }
    } else if (name == "nologin" || name == "proxy") {
        if (says_yes(value)) reply.add(name);
    } else if (value) {
        reply.has(name) ? reply.set(name, text) : reply.add(name, text);
    } else {
        reply.add(name);
    }
    return true;
}

Expected<std::string> Request::expand(std::string_view text) const {
    return config::expand_variables(text, [this](std::string_view name) -> std::optional<std::string> {
        if (name == "user" || name == "auth_user" || name == "login_user") return user;
        if (name == "orig_user") return original_user;
        if (name == "service") return service;
        if (name == "lip" || name == "real_lip") return lip;
        if (name == "rip" || name == "real_rip") return rip;
        if (name == "lport" || name == "real_lport") return lport;
        if (name == "rport" || name == "real_rport") return rport;
        if (name == "mech") return mechanism;
        if (name == "secured") return secured ? "secured" : "";
        if (name == "session") return session;
        if (name == "local_name") return local_name;
        if (name == "pid") return std::to_string(getpid());
        if (name == "cert") return parameters.has("valid-client-cert") ? "valid" : "";
        if (name == "home") return userdb.get("home");
        if (name.substr(0, 7) == "passdb:") return reply.get(name.substr(7));
        if (name.substr(0, 7) == "userdb:") return userdb.get(name.substr(7));
        return std::nullopt;
    });
}

std::string Request::log_prefix(std::string_view who) const {
    std::string out(who);
    out += "(";
    if (user.empty())
        out += "?";
    else
        out += user.size() > kMaxLoggedUser ? user.substr(0, kMaxLoggedUser) + "..." : user;
    if (!rip.empty()) out += "," + rip;
    if (!session.empty()) out += ",<" + session + ">";
    return out + "): ";
}

void Request::log_verbose(std::string_view who, std::string_view text) const {
    if (verbose) log::info("{}{}", log_prefix(who), text);
}
void Request::log_error(std::string_view who, std::string_view text) const {
    log::error("{}{}", log_prefix(who), text);
}
void Request::log_debug(std::string_view who, std::string_view text) const {
    if (settings.debug) log::debug("{}{}", log_prefix(who), text);
}

void Request::log_mismatch(std::string_view who, std::string_view password) const {
    std::string text = "Password mismatch";
    if (settings.show_password != Settings::ShowPassword::kNo) {
        bool plain = settings.show_password == Settings::ShowPassword::kPlain;
        std::string shown = plain ? std::string(password) : sha1_hex(password);
        if (settings.show_password_length > 0) shown = shown.substr(0, settings.show_password_length);
        text += plain ? " (given password: " + shown + ")" : " (SHA1 of given password: " + shown + ")";
    }
    log_verbose(who, text);
}

std::optional<std::string> check_allow_nets(std::string_view nets, const std::string& remote_address) {
    auto address = parse_network(remote_address);
    bool local_allowed = false;
    while (!nets.empty()) {
        auto comma = nets.find(',');
        std::string one(nets.substr(0, comma));
        nets = comma == std::string_view::npos ? std::string_view() : nets.substr(comma + 1);
        if (one == "local") {
            local_allowed = true;
            continue;
        }
        auto net = parse_network(one);
        if (net && address && contains(*net, *address)) return std::nullopt;
    }
    if (!address) {
        if (local_allowed) return std::nullopt;
        return "Remote IP not known and 'local' missing";
    }
    return "IP " + remote_address + " not in allowed networks";
}

bool matches_mask(std::string_view text, std::string_view mask) {
    // Greedy with one way back: linear space, text * mask time at worst.
    size_t t = 0, m = 0, star = std::string_view::npos, star_text = 0;
    while (t < text.size()) {
        if (m < mask.size() && (mask[m] == '?' || mask[m] == text[t]) && mask[m] != '*') {
            ++t;
            ++m;
        } else if (m < mask.size() && mask[m] == '*') {
            star = m++;
            star_text = t;
        } else if (star != std::string_view::npos) {
            m = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (m < mask.size() && mask[m] == '*') ++m;
    return m == mask.size();
}

}   // namespace postcot::authd
