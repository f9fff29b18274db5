#include "queued/remote/transport.h"

#include <cerrno>
#include <utility>

#include "libproto/config/tls_ciphers.h"
#include "libproto/runtime/log.h"

namespace postcot::queued {
namespace {

Expected<TlsVersions> versions_of(const config::MainCf& main, const std::string& name) {
    // Postfix 3.7's own default is TLS 1.0; whoever wants that says so.
    if (!main.is_set(name)) return TlsVersions{kTls12, 0, {}};
    auto versions = parse_tls_protocols(main.str(name));
    if (!versions) return fail(EINVAL, name + ": " + versions.error().text);
    if (versions->none()) return fail(EINVAL, name + ": no TLS version is left to use");
    return versions;
}

Expected<void> open_tls(const config::MainCf& main, const std::string& prefix, RemoteTransport& out) {
    TlsClientOptions tls;
    tls.ca_file = main.str(prefix + "tls_CAfile");
    tls.ca_path = main.str(prefix + "tls_CApath");
    tls.more.files = main.list(prefix + "tls_chain_files");
    constexpr std::pair<const char*, const char*> kPairs[] = {
        {"tls_cert_file", "tls_key_file"}, {"tls_eccert_file", "tls_eckey_file"}, {"tls_dcert_file", "tls_dkey_file"}};
    for (const auto& [cert_name, key_name] : kPairs) {
        auto cert = main.str(prefix + cert_name), key = main.str(prefix + key_name);
        if (!cert.empty() && tls.more.files.empty()) tls.more.pairs.push_back({cert, key.empty() ? cert : key});
    }
    out.ciphers = {prefix + "tls_ciphers", prefix + "tls_exclude_ciphers", prefix + "tls_mandatory_ciphers",
                   prefix + "tls_mandatory_exclude_ciphers"};
    auto may = versions_of(main, prefix + "tls_protocols"),
         must = versions_of(main, prefix + "tls_mandatory_protocols");
    if (!may) return fail(std::move(may.error()));
    if (!must) return fail(std::move(must.error()));
    out.may_versions = std::move(*may);
    out.must_versions = std::move(*must);
    for (bool mandatory : {false, true}) {
        if (auto ciphers = config::cipher_list_of(main, out.ciphers, mandatory); !ciphers)
            return fail(std::move(ciphers.error()));
    }
    tls.versions = {};   // each connection's own, by its policy
    for (bool verify : {false, true}) {
        tls.verify = verify;
        tls.security_level = verify ? kLibrarysOwnLevel : 0;
        auto context = TlsContext::client(tls);
        if (!context) return fail(std::move(context.error()));
        (verify ? out.verifying_tls : out.tls) = std::move(*context);
    }
    return {};
}

}   // namespace

std::unique_ptr<RemoteTransport> RemoteTransport::open(const config::MainCf& main, bool lmtp) {
    auto out = std::make_unique<RemoteTransport>(main, lmtp);
    const std::string prefix = lmtp ? "lmtp_" : "smtp_";
    out->queue_directory = main.str("queue_directory");
    auto maps = [&](const std::string& parameter, table::Maps& into) {
        auto opened = table::Maps::open(main.str(parameter), main, parameter);
        if (opened)
            into = std::move(*opened);
        else
            out->config_error = opened.error().text;
    };
    if (out->settings.sasl_enable) maps(prefix + "sasl_password_maps", out->sasl_passwords);
    maps(prefix + "tls_policy_maps", out->tls_policies);

    const bool wanted = !out->settings.tls_security_level.empty() && out->settings.tls_security_level != "none";
    if (!wanted && out->tls_policies.empty()) return out;
    if (auto opened = open_tls(main, prefix, *out); !opened) {
        out->tls.reset();
        out->verifying_tls.reset();
        out->tls_error = opened.error().text;
    }
    return out;
}

}   // namespace postcot::queued
