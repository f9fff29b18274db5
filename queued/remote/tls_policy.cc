#include "queued/remote/tls_policy.h"

#include "libproto/config/tls_ciphers.h"
#include "libproto/config/values.h"
#include "libproto/runtime/log.h"
#include "libproto/smtp/text.h"

namespace postcot::queued {
namespace {

std::vector<std::string> split_at_colons(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const size_t end = text.find_first_of(":, \t");
        if (end != 0) out.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return out;
}

Expected<void> take_attribute(TlsPolicy& policy, const std::string& name, const std::string& value) {
    if (name == "protocols") {
        auto versions = parse_tls_protocols(value);
        if (!versions) return fail(std::move(versions.error()));
        policy.versions = std::move(*versions);
    } else if (name == "ciphers") {
        policy.ciphers = value;
    } else if (name == "exclude") {
        policy.exclude = split_at_colons(value);
    } else if (name == "match") {
        auto names = split_at_colons(value);
        if (!policy.match) policy.match.emplace();
        policy.match->insert(policy.match->end(), names.begin(), names.end());
    } else if (name == "servername") {
        policy.server_name = value;
    } else if (name == "connection_reuse") {
        // Through tlsproxy(8) or not: how a connection is kept is ours.
    } else {
        return fail(EINVAL, (name == "tafile" ? "attribute is not supported: " : "invalid attribute name: ") + name);
    }
    return {};
}

// The table's first entry for the next hop as written, its domain, and its parents as .example.com.
Expected<std::optional<TlsPolicy>> find_policy(RemoteTransport& transport, const Nexthop& nexthop) {
    std::vector<std::string> keys = {smtp::lower(nexthop.host)};
    if (nexthop.kind == Nexthop::Kind::kHost) keys.insert(keys.begin(), "[" + keys[0] + "]");
    if (!nexthop.default_port) keys.insert(keys.begin(), keys[0] + ":" + std::to_string(nexthop.port));
    for (size_t dot = nexthop.host.find('.'); dot != std::string::npos; dot = nexthop.host.find('.', dot + 1))
        keys.push_back(smtp::lower(nexthop.host.substr(dot)));
    for (const auto& key : keys) {
        auto found = transport.tls_policies.find(key);
        if (!found) return fail(std::move(found.error()));
        if (!*found) continue;
        auto policy = parse_tls_policy(**found);
        if (!policy) return fail(EINVAL, "TLS policy table, key " + key + ": " + policy.error().text);
        return std::optional<TlsPolicy>(std::move(*policy));
    }
    return std::optional<TlsPolicy>{};
}

// smtp_tls_verify_cert_match and smtp_tls_secure_cert_match: nexthop, dot-nexthop, hostname, or names.
std::vector<std::string> names_to_verify(const std::vector<std::string>& words, const Nexthop& nexthop,
                                         const Host& host) {
    std::vector<std::string> out;
    for (const auto& word : words) {
        const auto name = smtp::lower(word);
        if (name == "nexthop") {
            out.push_back(nexthop.host);
        } else if (name == "dot-nexthop") {
            out.push_back('.' + nexthop.host);
        } else {
            out.push_back(name == "hostname" ? host.name : word);
        }
    }
    return out;
}

}   // namespace

Expected<TlsPolicy> parse_tls_policy(std::string_view entry) {
    TlsPolicy out;
    const auto words = config::split_list(entry);
    if (words.empty()) return fail(EINVAL, "invalid empty policy");
    out.level = smtp::lower(words[0]);
    for (size_t i = 1; i < words.size(); ++i) {
        const size_t equals = words[i].find('=');
        if (equals == std::string::npos) return fail(EINVAL, "malformed attribute/value pair \"" + words[i] + '"');
        if (auto done = take_attribute(out, smtp::lower(words[i].substr(0, equals)), words[i].substr(equals + 1));
            !done)
            return fail(std::move(done.error()));
    }
    return out;
}

tl::expected<TlsPlan, Failure> tls_plan(RemoteTransport& transport, const Nexthop& nexthop, const Host& host) {
    const ClientSettings& settings = transport.settings;
    const std::string prefix = settings.lmtp ? "lmtp_" : "smtp_";
    auto problem = [&](const std::string& why) {
        log::warning("{}", why);
        return tl::unexpected(make_failure("4.7.5", "client TLS configuration problem", host.relay()));
    };
    TlsPolicy policy;
    policy.level = settings.tls_security_level;
    if (!transport.tls_policies.empty()) {
        auto found = find_policy(transport, nexthop);
        if (!found) return problem(found.error().text);
        if (*found) policy = std::move(**found);
    }
    auto level = parse_tls_level(policy.level);
    if (!level) return problem(level.error().text);
    TlsPlan plan;
    plan.level = host.is_unix() ? TlsLevel::kNone : *level;   // Postfix: no TLS over Unix sockets
    if (plan.level == TlsLevel::kNone) return plan;
    const bool verify = plan.level >= TlsLevel::kVerify,
               must = plan.level >= TlsLevel::kEncrypt || settings.tls_wrapper;
    plan.context = verify ? transport.verifying_tls.get() : transport.tls.get();
    if (!plan.context) {
        log::warning("TLS is not available: {}", transport.tls_error);
        if (must)
            return tl::unexpected(
                make_failure("4.7.5", "TLS is required, but our TLS engine is unavailable", host.relay()));
        plan.level = TlsLevel::kNone;
        return plan;
    }
    plan.versions = policy.versions ? *policy.versions : must ? transport.must_versions : transport.may_versions;
    if (verify) policy.exclude.push_back("aNULL");
    auto ciphers = policy.ciphers ? config::cipher_list(transport.main_cf, *policy.ciphers, policy.exclude)
                                  : config::cipher_list_of(transport.main_cf, transport.ciphers, must, policy.exclude);
    if (!ciphers) return problem(ciphers.error().text);
    plan.ciphers = std::move(*ciphers);

    if (verify) {
        const char* name = plan.level == TlsLevel::kSecure ? "tls_secure_cert_match" : "tls_verify_cert_match";
        plan.names = names_to_verify(
            policy.match ? *policy.match : split_at_colons(transport.main_cf.str(prefix + name)), nexthop, host);
        if (plan.names.empty()) return problem("empty match list for TLS level " + policy.level);
    }
    plan.server_name = plan.level == TlsLevel::kSecure ? nexthop.host : host.name;
    const auto sni = policy.server_name ? *policy.server_name : settings.tls_servername;
    if (sni == "nexthop") {
        plan.server_name = nexthop.host;
    } else if (sni == "hostname") {
        plan.server_name = host.name;
    } else if (!sni.empty()) {
        plan.server_name = sni;
    }
    return plan;
}

}   // namespace postcot::queued
