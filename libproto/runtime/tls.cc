#include "libproto/runtime/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <map>

#include "libproto/runtime/tls_chains.h"

namespace postcot {

namespace {

struct ContextDeleter {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, ContextDeleter>;

tl::unexpected<Error> openssl_failure(std::string what) {
    unsigned long error = ERR_peek_error();
    const char* reason = error ? ERR_reason_error_string(error) : nullptr;
    if (reason) what += std::string(": ") + reason;
    ERR_clear_error();
    return fail(EPROTO, what);
}

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

template <typename SetOption>
void without_excluded(const TlsVersions& versions, SetOption set) {
    constexpr std::pair<int, unsigned long> kOff[] = {{SSL3_VERSION, SSL_OP_NO_SSLv3},
                                                      {TLS1_VERSION, SSL_OP_NO_TLSv1},
                                                      {TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
                                                      {TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
                                                      {TLS1_3_VERSION, SSL_OP_NO_TLSv1_3}};
    for (const auto& [version, option] : kOff) {
        if (!versions.allow(version)) set(static_cast<long>(option));
    }
}

Expected<ContextPtr> base_context(const SSL_METHOD* method, const TlsVersions& versions, const std::string& ciphers,
                                  int security_level) {
    ERR_clear_error();
    ContextPtr context(SSL_CTX_new(method));
    if (!context) return openssl_failure("cannot create a TLS context");
    SSL_CTX* ctx = context.get();
    if (versions.none()) return fail(EINVAL, "no TLS version is left to use");
    without_excluded(versions, [ctx](long option) { SSL_CTX_set_options(ctx, static_cast<uint64_t>(option)); });
    if (SSL_CTX_set_min_proto_version(ctx, versions.floor) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, versions.ceiling) != 1)
        return openssl_failure("TLS versions");
    // A mail protocol says itself where it ends, so a missing close_notify truncates nothing.
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1);
    // Before the list, which may name another.
    if (security_level != kLibrarysOwnLevel) SSL_CTX_set_security_level(ctx, security_level);
    if (!ciphers.empty() && SSL_CTX_set_cipher_list(ctx, ciphers.c_str()) != 1) {
        return openssl_failure("invalid TLS cipher list: " + ciphers);
    }
    return context;
}

Expected<void> load_identity(SSL_CTX* ctx, const std::string& cert_file, const std::string& key_file) {
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file.c_str()) != 1) {
        return openssl_failure("cannot load certificate from " + cert_file);
    }
    const std::string& key = key_file.empty() ? cert_file : key_file;
    if (SSL_CTX_use_PrivateKey_file(ctx, key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return openssl_failure("cannot load private key from " + key);
    }
    if (SSL_CTX_check_private_key(ctx) != 1) return openssl_failure("private key does not fit " + cert_file);
    return {};
}

Expected<void> load_authorities(SSL_CTX* ctx, const std::string& file, const std::string& path) {
    ERR_clear_error();
    if (!file.empty() && SSL_CTX_load_verify_locations(ctx, file.c_str(), nullptr) != 1)
        return openssl_failure("cannot load CA certificates from " + file);
    if (!path.empty() && SSL_CTX_load_verify_locations(ctx, nullptr, path.c_str()) != 1)
        return openssl_failure("cannot load CA certificates from " + path);
    return {};
}

Expected<void> load_more(SSL_CTX* ctx, const TlsChains& more) {
    for (const auto& pair : more.pairs) {
        if (auto loaded = load_identity(ctx, pair.cert_file, pair.key_file); !loaded) return loaded;
    }
    if (more.files.empty()) return {};
    return load_chain_files(ctx, more.files);
}

}   // namespace

Expected<void> limit_handshake(ssl_st* ssl, const TlsHandshake& wanted) {
    ERR_clear_error();
    if (wanted.versions) {
        SSL_clear_options(ssl, SSL_OP_NO_SSL_MASK);
        without_excluded(*wanted.versions, [ssl](long option) { SSL_set_options(ssl, static_cast<uint64_t>(option)); });
        if (SSL_set_min_proto_version(ssl, wanted.versions->floor) != 1 ||
            SSL_set_max_proto_version(ssl, wanted.versions->ceiling) != 1)
            return openssl_failure("TLS versions");
    }
    if (!wanted.ciphers.empty() && SSL_set_cipher_list(ssl, wanted.ciphers.c_str()) != 1)
        return openssl_failure("invalid TLS cipher list: " + wanted.ciphers);
    return {};
}

bool usable_ciphers(const std::string& list) {
    ERR_clear_error();
    ContextPtr context(SSL_CTX_new(TLS_method()));
    const bool fine = context && SSL_CTX_set_cipher_list(context.get(), list.c_str()) == 1;
    ERR_clear_error();
    return fine;
}

struct TlsContext::Impl {
    ContextPtr context;
    std::map<std::string, ContextPtr> by_name;   // lower case SNI names
    bool verifies = false;

    SSL_CTX* find(std::string name) const {
        name = lower(std::move(name));
        auto found = by_name.find(name);
        if (found != by_name.end()) return found->second.get();
        size_t dot = name.find('.');
        if (dot == std::string::npos) return nullptr;
        found = by_name.find("*" + name.substr(dot));
        return found == by_name.end() ? nullptr : found->second.get();
    }
    static int choose(SSL* ssl, int*, void* self) {
        const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        if (!name) return SSL_TLSEXT_ERR_NOACK;
        if (SSL_CTX* other = static_cast<Impl*>(self)->find(name)) SSL_set_SSL_CTX(ssl, other);
        return SSL_TLSEXT_ERR_OK;
    }
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;
ssl_ctx_st* TlsContext::native() const { return impl_->context.get(); }
bool TlsContext::verifies() const { return impl_->verifies; }

Expected<std::shared_ptr<TlsContext>> TlsContext::server(const TlsServerOptions& options) {
    auto impl = std::make_unique<Impl>();
    if (options.identities.empty()) return fail(EINVAL, "TLS needs a certificate");
    auto by_default = std::find_if(options.identities.begin(), options.identities.end(),
                                   [](const auto& identity) { return identity.name.empty(); });
    if (by_default == options.identities.end()) by_default = options.identities.begin();
    for (auto identity = options.identities.begin(); identity != options.identities.end(); ++identity) {
        auto context = base_context(TLS_server_method(), options.versions, options.ciphers, options.security_level);
        if (!context) return fail(context.error());
        SSL_CTX* ctx = context->get();
        if (!identity->cert_file.empty()) {
            auto loaded = load_identity(ctx, identity->cert_file, identity->key_file);
            if (!loaded) return fail(loaded.error());
        }
        if (auto loaded = load_more(ctx, identity->more); !loaded) return fail(loaded.error());
        if (options.prefer_server_ciphers) SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
        SSL_CTX_set_dh_auto(ctx, 1);
        // Tickets only. Their keys are made with the context, so workers forked later share them.
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(ctx, 1);
        static constexpr unsigned char kSessionContext[] = "postcot";
        SSL_CTX_set_session_id_context(ctx, kSessionContext, sizeof kSessionContext - 1);
        // They also complete the chain that we show.
        if (auto loaded = load_authorities(ctx, options.ca_file, options.ca_path); !loaded) return fail(loaded.error());
        if (options.ask_client_cert) {
            // Any certificate may be shown; TlsInfo says whether it verified.
            SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
        }
        if (identity == by_default) {
            impl->context = std::move(*context);
        } else {
            impl->by_name[lower(identity->name)] = std::move(*context);
        }
    }
    if (!impl->by_name.empty()) {
        SSL_CTX_set_tlsext_servername_callback(impl->context.get(), &Impl::choose);
        SSL_CTX_set_tlsext_servername_arg(impl->context.get(), impl.get());
    }
    return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

Expected<std::shared_ptr<TlsContext>> TlsContext::client(const TlsClientOptions& options) {
    auto impl = std::make_unique<Impl>();
    auto context = base_context(TLS_client_method(), options.versions, options.ciphers, options.security_level);
    if (!context) return fail(context.error());
    SSL_CTX* ctx = context->get();
    if (!options.ca_file.empty() || !options.ca_path.empty()) {
        if (auto loaded = load_authorities(ctx, options.ca_file, options.ca_path); !loaded) return fail(loaded.error());
    } else if (options.verify && SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return openssl_failure("cannot load the system's CA certificates");
    }
    if (!options.cert_file.empty()) {
        auto loaded = load_identity(ctx, options.cert_file, options.key_file);
        if (!loaded) return fail(loaded.error());
    }
    if (auto loaded = load_more(ctx, options.more); !loaded) return fail(loaded.error());
    SSL_CTX_set_verify(ctx, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    impl->context = std::move(*context);
    impl->verifies = options.verify;
    return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

}   // namespace postcot
