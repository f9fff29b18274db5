// TLS contexts (OpenSSL 3). TLS 1.2 and up unless told otherwise; session tickets on; SNI chooses among certificates.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libproto/error.h"

struct ssl_ctx_st;

namespace postcot {

struct TlsServerOptions {
    struct Identity {
        std::string name;         // SNI host name; empty for the default
        std::string cert_file;    // PEM chain
        std::string key_file;     // PEM; may be the same file
    };
    std::vector<Identity> identities;        // the first with an empty name is the default
    std::string min_protocol = "TLSv1.2";    // "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"
    std::string ciphers;                     // OpenSSL cipher list for <= 1.2; empty: the library's default
    bool prefer_server_ciphers = false;
    bool ask_client_cert = false;
    std::string ca_file;
};

struct TlsClientOptions {
    bool verify = false;            // fail the handshake unless chain and name verify
    std::string ca_file;            // empty: the system's
    std::string ca_path;
    std::string min_protocol = "TLSv1.2";
    std::string ciphers;
    std::string cert_file;
    std::string key_file;
};

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
