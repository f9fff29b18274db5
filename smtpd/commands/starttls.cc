// RFC 3207: STARTTLS, and TLS from the first octet (smtpd_tls_wrappermode, RFC 8314).
#include <cerrno>

#include "libproto/runtime/loop_inl.h"
#include "smtpd/session.h"

namespace postcot::smtpd {

Task<void> Session::on_start_tls(std::string_view arguments) {
    if (!arguments.empty()) {
        reply(501, "5.5.4", "Syntax: STARTTLS");
        co_return;
    }
    if (service_.tls_level == TlsLevel::kNone || (discard_keywords_ & kStartTls)) {
        reply(502, "5.5.1", "Error: command not implemented");
        co_return;
    }
    if (stream_.tls()) {
        reply(554, "5.5.1", "Error: TLS already active");
        co_return;
    }
    if (!runtime_.tls) {
        reply(454, "4.7.0", "TLS not available due to local problem");
        co_return;
    }
    if (c_.helo_name.empty()) {
        reply(503, "5.5.1", "Error: send HELO/EHLO first");
        co_return;
    }
    if (!stream_.buffered().empty()) {
        // CVE-2011-0411: what came in the clear must not be obeyed under TLS.
        log_info("improper command pipelining after STARTTLS from " + c_.client.name_address());
    }
    reply(220, "2.0.0", "Ready to start TLS");
    const bool started = co_await start_tls();
    if (!started) co_return;
    // §4.2: everything the client said before is forgotten.
    reset_transaction();
    c_.helo_name.clear();
    c_.extended = false;
    c_.sasl_method.clear();
    c_.sasl_username.clear();
}

Task<bool> Session::start_tls() {
    auto started = co_await stream_.start_tls_server(*runtime_.tls, service_.limits.starttls_timeout);
    if (!started) {
        if (started.error().code == EPROTO)
            log_info("SSL_accept error from " + c_.client.name_address() + ": " + started.error().text);
        end_ = End::kLost;
        log_info((started.error().code == ETIMEDOUT ? "timeout after " : "lost connection after ") + where_ + " from " +
                 c_.client.name_address());
        co_return false;
    }
    c_.tls = true;
    c_.tls_protocol = stream_.tls()->protocol;
    c_.tls_cipher = stream_.tls()->cipher;
    c_.tls_bits = stream_.tls()->bits;
    if (service_.tls_loglevel >= 1) {
        log_info("Anonymous TLS connection established from " + c_.client.name_address() + ": " +
                 stream_.tls()->summary());
    }
    co_return true;
}

}   // namespace postcot::smtpd
