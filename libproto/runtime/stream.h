// A buffered byte stream over a connected socket (TCP or Unix), in the clear or under TLS. One task may read while another writes.
//
// Writes are buffered: write() suspends only when kHighWater bytes wait, and every read flushes first if it has to wait for the peer. So
// pipelined commands are answered in one segment without any care in protocol code. What is buffered at destruction is lost: flush() first.
//
// Errors: ENODATA the peer closed in order; EMSGSIZE a line over its bound; ETIMEDOUT; ECANCELED; EPROTO TLS failed; else errno.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libproto/error.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/task.h"

namespace postcot {

class TlsContext;
struct TlsHandshake;

struct TlsInfo {
    std::string protocol;   // "TLSv1.3"
    std::string cipher;     // "TLS_AES_256_GCM_SHA384"
    int bits = 0;           // of the cipher in use
    int algorithm_bits = 0;
    std::string sni;              // server side: what the client asked for
    bool peer_shown = false;      // it presented a certificate
    bool peer_trusted = false;    // whose chain leads to a CA that is trusted here
    bool peer_verified = false;   // chain and, for clients, host name
    std::string peer_name;        // subject CN or first DNS name of the peer's certificate, if any
    bool resumed = false;
    // TLS 1.3 names them apart from the cipher: "X25519", "ECDHE (prime256v1)"; "RSA-PSS (2048 bits)" with "SHA256". Else empty.
    std::string key_exchange, server_signature, server_digest, client_signature, client_digest;

    // As Postfix logs it: "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ...".
    std::string summary() const;
    std::string signatures() const;   // its part from "key-exchange" on
    std::string exporter;             // RFC 9266 tls-exporter channel binding, 32 octets, or empty
};

struct Line {
    std::string_view text;   // without its line end; valid until the next read on the stream
    bool bare_lf = false;    // it ended in LF without CR
};

// What one process hands to another with the descriptor.
struct Handoff {
    UniqueFd fd;
    std::string unread;   // bytes already read from the peer
};

class Stream {
  public:
    static constexpr size_t kHighWater = 64 * 1024;

    explicit Stream(UniqueFd fd, std::string unread = {});   // makes it non-blocking
    ~Stream();
    Stream(Stream&&) noexcept;
    Stream& operator=(Stream&&) noexcept;

    // A line ends in CRLF or LF. `max` counts the octets before the line end. On EMSGSIZE the buffer is untouched: see skip_line().
    Task<Expected<Line>> read_line(size_t max, Millis timeout = kNoTimeout);
    // Discards up to and including the next LF, however long; fails with EMSGSIZE past `max` octets.
    Task<Expected<void>> skip_line(size_t max, Millis timeout = kNoTimeout);
    // At least one byte; the view is the read buffer and stays valid until the next read. Nothing is consumed.
    Task<Expected<std::string_view>> peek(Millis timeout = kNoTimeout);
    // At least `n` bytes in the view (n <= 64 KiB).
    Task<Expected<std::string_view>> peek_at_least(size_t n, Millis timeout = kNoTimeout);
    void consume(size_t n);
    // Exactly n bytes appended to `out`.
    Task<Expected<void>> read_exact(std::string& out, size_t n, Millis timeout = kNoTimeout);
    std::string_view buffered() const;   // read from the peer, not yet consumed

    Task<Expected<void>> write(std::string_view data, Millis timeout = kNoTimeout);
    void put(std::string_view data);   // buffers without bound: for short replies
    Task<Expected<void>> flush(Millis timeout = kNoTimeout);
    // The bytes [offset, offset+length) of a file; sendfile(2) when in the clear.
    Task<Expected<void>> write_file(int fd, uint64_t offset, uint64_t length, Millis timeout = kNoTimeout);
    size_t unsent() const;

    // RFC 3207 §4.2 / CVE-2011-0411: what the peer sent before the handshake is discarded.
    Task<Expected<void>> start_tls_server(TlsContext& context, Millis timeout);
    // `server_name` is sent as SNI and, if the context verifies, checked.
    Task<Expected<void>> start_tls_client(TlsContext& context, std::string server_name, Millis timeout);
    Task<Expected<void>> start_tls_client(TlsContext& context, TlsHandshake wanted, Millis timeout);
    const TlsInfo* tls() const;   // nullptr in the clear

    // Timeout that reads and writes use when none is given.
    void set_timeout(Millis timeout);

    int fd() const;
    bool open() const;
    void shutdown_write();
    void close();
    // In the clear only: gives the descriptor away. The stream is closed then.
    Handoff release();
    uint64_t bytes_in() const;
    uint64_t bytes_out() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Copies both ways until either side closes (a front that keeps TLS for a session process).
Task<void> relay(Stream& a, Stream& b, Millis idle_timeout);

}   // namespace postcot
