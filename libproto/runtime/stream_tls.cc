// TLS under a Stream: OpenSSL reads and writes the non-blocking socket itself.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "libproto/runtime/stream_impl.h"
#include "libproto/runtime/tls.h"

namespace postcot {

namespace {

std::string openssl_reason(const char* what) {
    std::string text = what;
    unsigned long error = ERR_peek_last_error();
    const char* reason = error ? ERR_reason_error_string(error) : nullptr;
    text += ": ";
    text += reason ? reason : "protocol error";
    ERR_clear_error();
    return text;
}

std::string name_of(X509* certificate) {
    std::string name;
    auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    char buffer[256];
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, buffer, sizeof buffer);
    if (n > 0) name.assign(buffer, std::min<size_t>(static_cast<size_t>(n), sizeof buffer - 1));
    for (int i = 0; name.empty() && i < sk_GENERAL_NAME_num(names); ++i) {
        const GENERAL_NAME* entry = sk_GENERAL_NAME_value(names, i);
        if (entry->type != GEN_DNS) continue;
        name.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(entry->d.dNSName)),
                    static_cast<size_t>(ASN1_STRING_length(entry->d.dNSName)));
    }
    GENERAL_NAMES_free(names);
    return name;
}

// "RSA-PSS (2048 bits)", "ECDSA (prime256v1)", "ED25519": kind and size of the key that signed.
std::string signature_name(int kind, EVP_PKEY* key) {
    const char* plain = OBJ_nid2sn(kind);
    std::string name = kind == EVP_PKEY_EC        ? "ECDSA"
                       : kind == EVP_PKEY_RSA     ? "RSA"
                       : kind == EVP_PKEY_RSA_PSS ? "RSA-PSS"
                       : plain                    ? plain
                                                  : "";
    if (kind == EVP_PKEY_EC) {
        char group[80];
        size_t length = 0;
        if (key && EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1)
            name += std::string(" (") + group + ')';
    } else if ((kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS) && key) {
        name += " (" + std::to_string(EVP_PKEY_get_bits(key)) + " bits)";
    }
    return name;
}

std::string exchange_name(EVP_PKEY* key) {
    const int kind = EVP_PKEY_get_base_id(key);
    if (kind == EVP_PKEY_DH) return "DHE (" + std::to_string(EVP_PKEY_get_bits(key)) + " bits)";
    if (kind == EVP_PKEY_EC) {
        char group[80];
        size_t length = 0;
        std::string name = "ECDHE";
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1) name += std::string(" (") + group + ')';
        return name;
    }
    const char* name = OBJ_nid2sn(kind);
    return name ? name : "";
}

// RFC 8446 §4.2.3: since TLS 1.3 the cipher suite says nothing of key exchange and signatures.
void describe_signatures(SSL* ssl, TlsInfo& info) {
    if (SSL_version(ssl) < TLS1_3_VERSION) return;
    EVP_PKEY* exchange = nullptr;
    if (SSL_get_peer_tmp_key(ssl, &exchange) == 1 && exchange) info.key_exchange = exchange_name(exchange);
    EVP_PKEY_free(exchange);
    const bool server = SSL_is_server(ssl) == 1;
    int kind = NID_undef, digest = NID_undef;
    X509* theirs = SSL_get0_peer_certificate(ssl);
    if (theirs && SSL_get_peer_signature_type_nid(ssl, &kind) == 1 && kind != NID_undef) {
        (server ? info.client_signature : info.server_signature) = signature_name(kind, X509_get0_pubkey(theirs));
        if (SSL_get_peer_signature_nid(ssl, &digest) == 1 && digest != NID_undef)
            (server ? info.client_digest : info.server_digest) = OBJ_nid2sn(digest);
    }
    X509* ours = SSL_get_certificate(ssl);
    digest = NID_undef;
    if (ours && SSL_get_signature_nid(ssl, &digest) == 1 && digest != NID_undef) {
        EVP_PKEY* key = X509_get0_pubkey(ours);
        kind = EVP_PKEY_get_base_id(key);
        if (kind == EVP_PKEY_RSA) kind = EVP_PKEY_RSA_PSS;   // §4.2.3: TLS 1.3 signs with no other padding
        (server ? info.server_signature : info.client_signature) = signature_name(kind, key);
        (server ? info.server_digest : info.client_digest) = OBJ_nid2sn(digest);
    }
}

TlsInfo describe(SSL* ssl) {
    TlsInfo info;
    info.protocol = SSL_get_version(ssl);
    if (const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl)) {
        info.cipher = SSL_CIPHER_get_name(cipher);
        info.bits = SSL_CIPHER_get_bits(cipher, &info.algorithm_bits);
    }
    if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) info.sni = name;
    if (X509* certificate = SSL_get0_peer_certificate(ssl)) {
        info.peer_name = name_of(certificate);
        info.peer_shown = true;
        const long verdict = SSL_get_verify_result(ssl);
        info.peer_trusted = verdict == X509_V_OK || verdict == X509_V_ERR_HOSTNAME_MISMATCH;
        info.peer_verified = verdict == X509_V_OK;
    }
    describe_signatures(ssl, info);
    info.resumed = SSL_session_reused(ssl) == 1;
    // RFC 9266 §2; with TLS 1.2 only where the extended master secret makes it safe.
    if (SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1) {
        unsigned char key[32];
        constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
        const unsigned char empty = 0;
        if (SSL_export_keying_material(ssl, key, sizeof key, kLabel.data(), kLabel.size(), &empty, 0, 1) == 1) {
            info.exporter.assign(reinterpret_cast<const char*>(key), sizeof key);
        }
    }
    ERR_clear_error();
    return info;
}

}   // namespace

Stream::Impl::Outcome Stream::Impl::tls_outcome(int result, int& error) {
    switch (SSL_get_error(ssl, result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE: return Outcome::kAgain;
        case SSL_ERROR_ZERO_RETURN: error = ENODATA; return Outcome::kEnd;
        case SSL_ERROR_SYSCALL:
            error = errno ? errno : ENODATA;
            ERR_clear_error();
            return error == ENODATA ? Outcome::kEnd : Outcome::kFailed;
        default:
            error = EPROTO;
            tls_error = openssl_reason("TLS");
            return Outcome::kFailed;
    }
}

Stream::Impl::Outcome Stream::Impl::tls_read(char* into, size_t length, size_t& done) {
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(ssl, into, length, &done);
    if (result == 1) return Outcome::kDone;
    done = 0;
    return tls_outcome(result, read_error);
}

Stream::Impl::Outcome Stream::Impl::tls_write(const char* from, size_t length, size_t& done) {
    ERR_clear_error();
    errno = 0;
    // A repeated write must not be shorter than the first try: the buffer only grows meanwhile, so whole records never
    // are.
    int result = SSL_write_ex(ssl, from, std::min(length, kTlsRecord), &done);
    if (result == 1) return Outcome::kDone;
    done = 0;
    int error = 0;
    Outcome outcome = tls_outcome(result, error);
    if (error) write_error = error == ENODATA ? EPIPE : error;
    return outcome == Outcome::kEnd ? Outcome::kFailed : outcome;
}

void Stream::Impl::tls_goodbye() {
    if (!ssl || handshaking || read_error == EPROTO || write_error) return;
    ERR_clear_error();
    SSL_shutdown(ssl);
    ERR_clear_error();
}

void Stream::Impl::tls_free() {
    if (ssl) SSL_free(ssl);
    ssl = nullptr;
}

Task<Expected<void>> Stream::Impl::handshake(Millis timeout) {
    handshaking = true;
    int failed = 0;
    std::string text;
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_do_handshake(ssl);
        if (result == 1) break;
        int why = SSL_get_error(ssl, result);
        int code = 0;
        if (why == SSL_ERROR_WANT_READ) {
            ReadWait wait(*this, timeout);
            code = co_await wait;
        } else if (why == SSL_ERROR_WANT_WRITE) {
            detail::IoWait wait(fd.get(), EPOLLOUT, timeout);
            code = co_await wait;
        } else if (why == SSL_ERROR_SYSCALL || why == SSL_ERROR_ZERO_RETURN) {
            code = errno ? errno : ENODATA;
            text = "lost connection during TLS handshake";
        } else {
            code = EPROTO;
            long verify = SSL_get_verify_result(ssl);
            text = openssl_reason("TLS handshake");
            if (verify != X509_V_OK && !SSL_is_server(ssl) && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
                text = std::string("TLS certificate not trusted: ") + X509_verify_cert_error_string(verify);
            }
        }
        if (!ssl) {   // closed meanwhile
            failed = ECANCELED;
            break;
        }
        if (code) {
            failed = code;
            break;
        }
    }
    handshaking = false;
    if (failed) {
        if (text.empty()) text = failed == ETIMEDOUT ? "timeout during TLS handshake" : "TLS handshake aborted";
        tls_error = text;
        // Nothing more is said in the clear or otherwise.
        if (!read_error) read_error = failed;
        if (!write_error) write_error = failed;
        co_return fail(failed, text);
    }
    tls_info = describe(ssl);
    secured = true;
    co_return Expected<void>();
}

Task<Expected<void>> Stream::start_tls_server(TlsContext& context, Millis timeout) {
    Impl& s = *impl_;
    if (s.ssl) co_return fail(EISCONN, "TLS already active");
    auto flushed = co_await s.drain_to(0, timeout);
    if (!flushed) co_return flushed;
    s.begin = s.end = 0;   // RFC 3207 §4.2: forget what was said before
    s.ssl = SSL_new(context.native());
    if (!s.ssl) co_return fail(ENOMEM, "no memory for TLS");
    SSL_set_fd(s.ssl, s.fd.get());
    SSL_set_accept_state(s.ssl);
    auto done = co_await with_deadline(timeout, s.handshake(kNoTimeout));
    co_return done;
}

namespace {

bool is_literal(const std::string& name) {
    return name.find_first_not_of("0123456789.") == std::string::npos || name.find(':') != std::string::npos;
}

}   // namespace

Task<Expected<void>> Stream::start_tls_client(TlsContext& context, std::string server_name, Millis timeout) {
    TlsHandshake wanted;
    wanted.server_name = std::move(server_name);
    return start_tls_client(context, std::move(wanted), timeout);
}

Task<Expected<void>> Stream::start_tls_client(TlsContext& context, TlsHandshake wanted, Millis timeout) {
    Impl& s = *impl_;
    if (s.ssl) co_return fail(EISCONN, "TLS already active");
    auto flushed = co_await s.drain_to(0, timeout);
    if (!flushed) co_return flushed;
    s.begin = s.end = 0;
    s.ssl = SSL_new(context.native());
    if (!s.ssl) co_return fail(ENOMEM, "no memory for TLS");
    SSL_set_fd(s.ssl, s.fd.get());
    SSL_set_connect_state(s.ssl);
    if (auto limited = limit_handshake(s.ssl, wanted); !limited) {
        // Nothing was said yet; whoever wants to go on without TLS connects anew.
        s.read_error = s.write_error = limited.error().code;
        co_return limited;
    }
    if (!wanted.server_name.empty() && !is_literal(wanted.server_name))
        SSL_set_tlsext_host_name(s.ssl, wanted.server_name.c_str());   // RFC 6066 §3: no address literals
    if (wanted.names.empty() && !wanted.server_name.empty()) wanted.names.push_back(wanted.server_name);
    for (const auto& name : wanted.names) {
        if (is_literal(name)) {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s.ssl), name.c_str());
        } else {
            SSL_add1_host(s.ssl, name.c_str());
        }
    }
    auto done = co_await with_deadline(timeout, s.handshake(kNoTimeout));
    co_return done;
}

std::string TlsInfo::signatures() const {
    std::string out;
    auto add = [&out](const char* what, const std::string& value) {
        if (!value.empty()) out += std::string(out.empty() ? "" : " ") + what + ' ' + value;
    };
    add("key-exchange", key_exchange);
    add("server-signature", server_signature);
    add("server-digest", server_digest);
    add("client-signature", client_signature);
    add("client-digest", client_digest);
    return out;
}

std::string TlsInfo::summary() const {
    std::string out = protocol + " with cipher " + cipher + " (" + std::to_string(bits) + '/' +
                      std::to_string(algorithm_bits) + " bits)";
    if (auto more = signatures(); !more.empty()) out += ' ' + more;
    return out;
}

}   // namespace postcot
