// TLS contexts (OpenSSL 3). TLS 1.2 and up unless told otherwise; session tickets on; SNI chooses among certificates.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/tls_versions.h"

struct ssl_ctx_st;
struct ssl_st;

namespace postcot {

// Several certificates of one name, one for each kind of key (RSA, ECDSA ...).
struct TlsChains {
    struct Pair {
        std::string cert_file, key_file;
    };
    std::vector<Pair> pairs;
    // Postfix's smtpd_tls_chain_files: a key, its certificate and what signed it, again and again; read as if the files were one.
    std::vector<std::string> files;
    bool empty() const { return pairs.empty() && files.empty(); }
};

// OpenSSL's security level, which refuses old protocols, small keys and anonymous ciphers whatever is allowed by name. Mail that could also go in
// the clear asks for none of it, as Postfix does.
constexpr int kLibrarysOwnLevel = -1;

struct TlsServerOptions {
    struct Identity {
        std::string name;        // SNI host name; empty for the default
        std::string cert_file;   // PEM chain
        std::string key_file;    // PEM; may be the same file
        TlsChains more{};        // besides it or (cert_file empty) instead of it
    };
    std::vector<Identity> identities;   // the first with an empty name is the default
    TlsVersions versions{kTls12, 0, {}};
    std::string ciphers;   // OpenSSL cipher list for <= 1.2; empty: the library's default
    int security_level = kLibrarysOwnLevel;
    bool prefer_server_ciphers = false;
    bool ask_client_cert = false;
    std::string ca_file, ca_path;
};

struct TlsClientOptions {
    bool verify = false;   // fail the handshake unless chain and name verify
    std::string ca_file;   // empty: the system's
    std::string ca_path;
    TlsVersions versions{kTls12, 0, {}};
    std::string ciphers;
    int security_level = kLibrarysOwnLevel;
    std::string cert_file;
    std::string key_file;
    TlsChains more;
};

// What one connection of a client asks for besides its context. `versions` and `ciphers`: instead of the context's.
struct TlsHandshake {
    std::string server_name;          // SNI, and the first name to verify; an address literal is not sent
    std::vector<std::string> names;   // to verify instead of server_name; ".example.com" is any name below it
    const TlsVersions* versions = nullptr;
    std::string ciphers;
};
Expected<void> limit_handshake(ssl_st* ssl, const TlsHandshake& wanted);   // its versions and ciphers
// Could a list of OpenSSL cipher names be used?
bool usable_ciphers(const std::string& list);

class TlsContext {
  public:
    static Expected<std::shared_ptr<TlsContext>> server(const TlsServerOptions& options);
    static Expected<std::shared_ptr<TlsContext>> client(const TlsClientOptions& options);
    ~TlsContext();
    ssl_ctx_st* native() const;
    bool verifies() const;

  private:
    struct Impl;
    explicit TlsContext(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}   // namespace postcot
