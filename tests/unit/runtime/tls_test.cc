#include "libproto/runtime/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace std::chrono_literals;

namespace {

// A self-signed certificate for `name`, key in the same file; removed at the end.
class Certificate {
  public:
    explicit Certificate(const std::string& name) : path_("/tmp/postcot-" + std::to_string(getpid()) + "-" + name) {
        EVP_PKEY* key = EVP_EC_gen("P-256");
        X509* certificate = X509_new();
        X509_set_version(certificate, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
        X509_set_pubkey(certificate, key);
        X509_NAME* subject = X509_get_subject_name(certificate);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()),
                                   -1, -1, 0);
        X509_set_issuer_name(certificate, subject);
        X509V3_CTX context;
        X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
        X509_EXTENSION* extension =
            X509V3_EXT_conf_nid(nullptr, &context, NID_subject_alt_name, ("DNS:" + name).c_str());
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
        X509_sign(certificate, key, EVP_sha256());
        FILE* file = fopen(path_.c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        PEM_write_X509(file, certificate);
        fclose(file);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    ~Certificate() { unlink(path_.c_str()); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

struct Pair {
    Stream client, server;
};
Pair stream_pair() {
    auto pair = socket_pair();
    return {Stream(std::move(pair->first)), Stream(std::move(pair->second))};
}

std::shared_ptr<TlsContext> server_context(const Certificate& by_default, const Certificate* other = nullptr) {
    TlsServerOptions options;
    options.identities.push_back({"", by_default.path(), ""});
    if (other) options.identities.push_back({"other.example", other->path(), ""});
    auto context = TlsContext::server(options);
    REQUIRE(context);
    return *context;
}

Task<void> serve_echo(Stream& stream, TlsContext& context, TlsInfo& seen, int& failed) {
    auto secured = co_await stream.start_tls_server(context, 5s);
    if (!secured) {
        failed = secured.error().code;
        co_return;
    }
    seen = *stream.tls();
    for (;;) {
        auto line = co_await stream.read_line(100000, 5s);
        if (!line) co_return;
        std::string reply(line->text);
        reply += "\r\n";
        co_await stream.write(reply);
    }
}

}   // namespace

TEST_CASE("a client and a server agree on TLS 1.3 and carry lines both ways") {
    Loop loop;
    Certificate certificate("mail.example");
    auto context = server_context(certificate);
    TlsClientOptions options;
    options.verify = true;
    options.ca_file = certificate.path();
    auto client_context = TlsContext::client(options);
    REQUIRE(client_context);
    auto body = [&]() -> Task<void> {
        auto [client, server] = stream_pair();
        Scope scope;
        TlsInfo seen;
        int failed = 0;
        scope.spawn(serve_echo(server, *context, seen, failed));
        auto secured = co_await client.start_tls_client(**client_context, "mail.example", 5s);
        REQUIRE(secured);
        CHECK(client.tls()->protocol == "TLSv1.3");
        CHECK(client.tls()->peer_verified);
        CHECK(client.tls()->peer_name == "mail.example");
        std::string line(3000, 'x');
        line += "\r\n";
        auto writer = [&, &client = client]() -> Task<void> {
            for (int i = 0; i < 500; ++i) co_await client.write(line);
            co_await client.flush();
        };
        Scope writing;
        writing.spawn(writer());
        std::string all;
        auto read = co_await client.read_exact(all, 500 * line.size(), 10s);
        CHECK(read);
        co_await writing.join();
        CHECK(seen.sni == "mail.example");
        CHECK(seen.exporter.size() == 32);
        CHECK(seen.exporter == client.tls()->exporter);
        client.close();
        co_await scope.join();
        CHECK(failed == 0);
    };
    loop.run_until_complete(body());
}

TEST_CASE("the server shows the certificate of the name that was asked for") {
    Loop loop;
    Certificate first("mail.example"), second("other.example");
    auto context = server_context(first, &second);
    auto client_context = TlsContext::client({});
    auto body = [&]() -> Task<void> {
        for (std::string name : {"mail.example", "other.example", "unknown.example", ""}) {
            auto [client, server] = stream_pair();
            Scope scope;
            TlsInfo seen;
            int failed = 0;
            scope.spawn(serve_echo(server, *context, seen, failed));
            auto secured = co_await client.start_tls_client(**client_context, name, 5s);
            REQUIRE(secured);
            CHECK(client.tls()->peer_name == (name == "other.example" ? "other.example" : "mail.example"));
            CHECK_FALSE(client.tls()->peer_verified);
            client.close();
            co_await scope.join();
        }
    };
    loop.run_until_complete(body());
}

TEST_CASE("a client that verifies refuses a stranger and a wrong name") {
    Loop loop;
    Certificate certificate("mail.example");
    auto context = server_context(certificate);
    auto body = [&]() -> Task<void> {
        for (bool trusted : {false, true}) {
            TlsClientOptions options;
            options.verify = true;
            Certificate unrelated("unrelated.example");
            options.ca_file = trusted ? certificate.path() : unrelated.path();
            auto client_context = TlsContext::client(options);
            auto [client, server] = stream_pair();
            Scope scope;
            TlsInfo seen;
            int failed = 0;
            scope.spawn(serve_echo(server, *context, seen, failed));
            auto secured =
                co_await client.start_tls_client(**client_context, trusted ? "wrong.example" : "mail.example", 5s);
            REQUIRE_FALSE(secured);
            CHECK(secured.error().code == EPROTO);
            CHECK_FALSE(client.tls());
            client.close();
            co_await scope.join();
        }
    };
    loop.run_until_complete(body());
}

TEST_CASE("RFC 3207 4.2: what was sent in the clear before the handshake is discarded") {
    Loop loop;
    Certificate certificate("mail.example");
    auto context = server_context(certificate);
    auto client_context = TlsContext::client({});
    auto body = [&]() -> Task<void> {
        auto [client, server] = stream_pair();
        client.put("STARTTLS\r\nINJECTED\r\n");
        co_await client.flush();
        auto line = co_await server.read_line(100);
        CHECK(line->text == "STARTTLS");
        CHECK(server.buffered() == "INJECTED\r\n");
        Scope scope;
        TlsInfo seen;
        int failed = 0;
        scope.spawn(serve_echo(server, *context, seen, failed));
        auto secured = co_await client.start_tls_client(**client_context, "mail.example", 5s);
        REQUIRE(secured);
        client.put("clean\r\n");
        line = co_await client.read_line(100, 5s);
        REQUIRE(line);
        CHECK(line->text == "clean");
        client.close();
        co_await scope.join();
    };
    loop.run_until_complete(body());
}

TEST_CASE("a handshake that does not come, or is garbage, fails alone and in time") {
    Loop loop;
    Certificate certificate("mail.example");
    auto context = server_context(certificate);
    auto body = [&]() -> Task<void> {
        auto [silent, server] = stream_pair();
        auto secured = co_await server.start_tls_server(*context, 30ms);
        REQUIRE_FALSE(secured);
        CHECK(secured.error().code == ETIMEDOUT);
        auto line = co_await server.read_line(100, 1s);
        CHECK_FALSE(line);

        auto [garbage, second] = stream_pair();
        garbage.put("EHLO this is no handshake\r\n");
        co_await garbage.flush();
        Scope scope;
        int failed = 0;
        TlsInfo seen;
        scope.spawn(serve_echo(second, *context, seen, failed));
        co_await scope.join();
        CHECK((failed == EPROTO || failed == 0));

        auto [gone, third] = stream_pair();
        gone.close();
        secured = co_await third.start_tls_server(*context, 1s);
        REQUIRE_FALSE(secured);
        CHECK(secured.error().code == ENODATA);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a missing or wrong certificate is an error that names the file") {
    TlsServerOptions options;
    options.identities.push_back({"", "/no/such/cert.pem", "/no/such/key.pem"});
    auto context = TlsContext::server(options);
    REQUIRE_FALSE(context);
    CHECK(context.error().text.find("/no/such/cert.pem") != std::string::npos);
}
