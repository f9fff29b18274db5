#include "libproto/login/tls_context.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "libproto/runtime/fd.h"

namespace postcot::login {

namespace {

// TlsServerOptions wants files: PEM text is shown to it as one that exists in memory only.
Expected<std::string> as_file(const std::string& value, std::vector<UniqueFd>& keep) {
    if (value.find("-----BEGIN") == std::string::npos) return value.starts_with('<') ? value.substr(1) : value;
    UniqueFd memory(memfd_create("pem", MFD_CLOEXEC));
    if (!memory) return fail_errno(errno, "memfd_create");
    size_t written = 0;
    while (written < value.size()) {
        ssize_t n = write(memory.get(), value.data() + written, value.size() - written);
        if (n <= 0) return fail_errno(errno, "write");
        written += static_cast<size_t>(n);
    }
    std::string path = fmt::format("/proc/self/fd/{}", memory.get());
    keep.push_back(std::move(memory));
    return path;
}

// ssl_min_protocol: a version, ANY, or LATEST (of those the library has).
Expected<TlsVersions> versions_of(const config::DovecotConf& conf, const std::string& protocol) {
    const auto least = conf.str("ssl_min_protocol", protocol);
    if (least.empty()) return TlsVersions{kTls12, 0, {}};
    if (least == "ANY") return TlsVersions{};
    auto versions = parse_tls_protocols(">=" + (least == "LATEST" ? std::string("TLSv1.3") : least));
    if (!versions) return fail(EINVAL, "ssl_min_protocol: unknown TLS protocol version: " + least);
    return versions;
}

}   // namespace

Expected<std::shared_ptr<TlsContext>> server_tls(const config::DovecotConf& conf, const std::string& protocol) {
    if (conf.str("ssl", protocol) == "no") return std::shared_ptr<TlsContext>();
    TlsServerOptions options;
    std::vector<UniqueFd> keep;
    auto add = [&](const std::string& name, const std::string& cert, const std::string& key) -> Expected<void> {
        auto cert_file = as_file(cert, keep);
        if (!cert_file) return fail(cert_file.error());
        auto key_file = as_file(key, keep);
        if (!key_file) return fail(key_file.error());
        options.identities.push_back({name, *cert_file, *key_file});
        return {};
    };
    std::string cert = conf.str("ssl_cert", protocol), key = conf.str("ssl_key", protocol);
    if (cert.empty() || key.empty()) {
        if (conf.str("ssl", protocol) == "required")
            return fail(EINVAL, "ssl = required, but ssl_cert or ssl_key is not set");
        return std::shared_ptr<TlsContext>();
    }
    auto added = add("", cert, key);
    if (!added) return fail(added.error());
    for (const auto* section : conf.sections("local_name")) {
        if (!section->is_set("ssl_cert")) continue;
        added =
            add(section->name, section->str("ssl_cert"), section->is_set("ssl_key") ? section->str("ssl_key") : key);
        if (!added) return fail(added.error());
    }
    auto versions = versions_of(conf, protocol);
    if (!versions) return fail(std::move(versions.error()));
    options.versions = *versions;
    options.ciphers = conf.str("ssl_cipher_list", protocol);
    options.prefer_server_ciphers = conf.boolean("ssl_prefer_server_ciphers", protocol);
    options.ask_client_cert = conf.boolean("ssl_verify_client_cert", protocol);
    if (std::string ca = conf.str("ssl_ca", protocol); !ca.empty()) {
        auto file = as_file(ca, keep);
        if (!file) return fail(file.error());
        options.ca_file = *file;
    }
    return TlsContext::server(options);
}

Expected<void> check_tls(const config::DovecotConf& conf, const std::string& protocol) {
    if (conf.str("ssl", protocol) == "no") return {};
    if (auto there = conf.check_files({"ssl_cert", "ssl_key", "ssl_ca"}); !there) return there;
    auto tls = server_tls(conf, protocol);
    if (!tls) return fail(tls.error().code, "ssl_cert, ssl_key: " + tls.error().text);
    return {};
}

}   // namespace postcot::login
