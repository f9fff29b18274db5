#include "libproto/runtime/tls_chains.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

namespace postcot {
namespace {

struct Deleter {
    void operator()(BIO* bio) const { BIO_free(bio); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
template <typename T>
using Owned = std::unique_ptr<T, Deleter>;

struct Chain {
    Owned<EVP_PKEY> key;
    std::string key_file;
    Owned<X509> leaf;
    Owned<STACK_OF(X509)> rest{sk_X509_new_null()};
};

tl::unexpected<Error> refused(const std::string& file, std::string_view why) {
    ERR_clear_error();
    return fail(EPROTO, "error loading chain from " + file + ": " + std::string(why));
}

std::string library_reason(const char* otherwise) {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : otherwise;
}

Expected<void> use(SSL_CTX* context, Chain& chain) {
    if (!chain.key) return {};
    if (!chain.leaf) return refused(chain.key_file, "a key without a certificate after it");
    if (SSL_CTX_use_cert_and_key(context, chain.leaf.get(), chain.key.get(), chain.rest.get(), 1) != 1)
        return refused(chain.key_file, library_reason("key and certificate do not fit"));
    chain = Chain();
    return {};
}

struct PemObject {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long length = 0;
    PemObject() = default;
    PemObject(const PemObject&) = delete;
    ~PemObject() {
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, static_cast<size_t>(length > 0 ? length : 0));
    }
};

Expected<void> take(SSL_CTX* context, Chain& chain, const PemObject& object, const std::string& file) {
    const std::string_view name = object.name;
    const unsigned char* at = object.data;
    if (name.ends_with("PRIVATE KEY")) {
        if (auto done = use(context, chain); !done) return done;
        if (name.starts_with("ENCRYPTED") || *object.header) return refused(file, "the key is encrypted");
        chain.key.reset(d2i_AutoPrivateKey(nullptr, &at, object.length));
        chain.key_file = file;
        if (!chain.key) return refused(file, library_reason("no private key"));
    } else if (name.ends_with("CERTIFICATE")) {
        if (!chain.key) return refused(file, "key not first");
        Owned<X509> certificate(name.starts_with("TRUSTED") ? d2i_X509_AUX(nullptr, &at, object.length)
                                                            : d2i_X509(nullptr, &at, object.length));
        if (!certificate) return refused(file, library_reason("no certificate"));
        if (!chain.leaf) {
            chain.leaf = std::move(certificate);
        } else if (sk_X509_push(chain.rest.get(), certificate.get()) > 0) {
            (void)certificate.release();
        }
    }
    return {};   // EC PARAMETERS and the like say nothing that the key does not
}

}   // namespace

Expected<void> load_chain_files(SSL_CTX* context, const std::vector<std::string>& files) {
    Chain chain;
    for (const auto& file : files) {
        ERR_clear_error();
        errno = 0;
        Owned<BIO> in(BIO_new_file(file.c_str(), "r"));
        if (!in) {
            const int code = errno;
            ERR_clear_error();
            return fail(code ? code : EIO, "error opening chain file: " + file + ": " + std::strerror(code));
        }
        bool any = false;
        for (;; any = true) {
            PemObject object;
            if (PEM_read_bio(in.get(), &object.name, &object.header, &object.data, &object.length) != 1) break;
            if (auto taken = take(context, chain, object, file); !taken) return taken;
        }
        if (const auto why = ERR_peek_last_error(); why && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
            return refused(file, library_reason("not PEM"));
        if (!any) return refused(file, "no PEM objects");
    }
    auto done = use(context, chain);
    ERR_clear_error();
    return done;
}

}   // namespace postcot
