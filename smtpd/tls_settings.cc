#include "smtpd/tls_settings.h"

#include <cerrno>
#include <string>
#include <utility>

#include "libproto/config/tls_ciphers.h"
#include "libproto/runtime/log.h"

namespace postcot::smtpd {
namespace {

// smtpd_tls_chain_files replaces the older parameters: one certificate for each kind of key.
TlsServerOptions::Identity identity_of(const config::MainCf& main) {
    TlsServerOptions::Identity out;
    out.more.files = main.list("smtpd_tls_chain_files");
    if (!out.more.files.empty()) return out;
    constexpr std::pair<const char*, const char*> kPairs[] = {{"smtpd_tls_cert_file", "smtpd_tls_key_file"},
                                                              {"smtpd_tls_eccert_file", "smtpd_tls_eckey_file"},
                                                              {"smtpd_tls_dcert_file", "smtpd_tls_dkey_file"}};
    for (const auto& [cert_name, key_name] : kPairs) {
        auto cert = main.str(cert_name), key = main.str(key_name);
        if (cert.empty() || cert == "none") continue;
        out.more.pairs.push_back({cert, key.empty() ? cert : key});
    }
    return out;
}

Expected<std::shared_ptr<TlsContext>> make_context(const Service& service, bool mandatory) {
    const auto& main = service.main;
    TlsServerOptions options;
    options.identities.push_back(identity_of(main));
    if (options.identities[0].more.empty())
        return fail(ENOENT, "no server certificate is named (smtpd_tls_chain_files, smtpd_tls_cert_file)");
    const char* name = mandatory ? "smtpd_tls_mandatory_protocols" : "smtpd_tls_protocols";
    auto versions = parse_tls_protocols(main.str(name));
    if (!versions) return fail(EINVAL, std::string(name) + ": " + versions.error().text);
    options.versions = std::move(*versions);
    // Postfix 3.7's own default is TLS 1.0; whoever wants that says so.
    if (!main.is_set(name)) options.versions = {kTls12, 0, {}};
    auto ciphers = config::cipher_list_of(main,
                                          {"smtpd_tls_ciphers", "smtpd_tls_exclude_ciphers",
                                           "smtpd_tls_mandatory_ciphers", "smtpd_tls_mandatory_exclude_ciphers"},
                                          mandatory);
    if (!ciphers) return fail(std::move(ciphers.error()));
    options.ciphers = std::move(*ciphers);
    options.ca_file = main.str("smtpd_tls_CAfile");
    options.ca_path = main.str("smtpd_tls_CApath");
    options.security_level = 0;
    options.prefer_server_ciphers = main.boolean("tls_preempt_cipherlist");
    return TlsContext::server(options);
}

}   // namespace

Expected<std::shared_ptr<TlsContext>> open_tls(const Service& service) {
    if (service.tls_level == TlsLevel::kNone) return std::shared_ptr<TlsContext>();
    const bool mandatory = service.tls_level == TlsLevel::kEncrypt || service.wrapper_mode;
    auto context = make_context(service, mandatory);
    if (context) return context;
    if (mandatory) {
        return fail(EINVAL,
                    "service " + service.name + ": " +
                        (service.wrapper_mode ? "smtpd_tls_wrappermode = yes" : "smtpd_tls_security_level = encrypt") +
                        ", but TLS is not available: " + context.error().text);
    }
    log::warning_as(service.ident, "{}: disabling TLS support", context.error().text);
    return std::shared_ptr<TlsContext>();
}

}   // namespace postcot::smtpd
