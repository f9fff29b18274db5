// From the connection to the point where mail can be sent: RFC 5321 §3.1, §3.2; RFC 3207; RFC 4954; RFC 2033.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libproto/runtime/log.h"
#include "libproto/runtime/net.h"
#include "libproto/sasl/base64.h"
#include "libproto/smtp/text.h"
#include "queued/remote/session.h"

namespace postcot::queued {

namespace {

constexpr size_t kMaxReplyLine = 2048;   // Postfix's line_length_limit

}   // namespace

Session::Session(Host host, const ClientSettings& settings)
    : host_(std::move(host)), settings_(settings), opened_(Loop::current().now()) {}

Task<tl::expected<std::unique_ptr<Session>, Failure>> Session::open(Host host, const ClientSettings& settings,
                                                                    TlsPlan tls, std::optional<SaslSecret> secret,
                                                                    std::string unix_folder) {
    using Result = tl::expected<std::unique_ptr<Session>, Failure>;
    auto session = std::unique_ptr<Session>(new Session(std::move(host), settings));
    auto started = std::chrono::steady_clock::now();
    auto connected = co_await session->connect(std::move(unix_folder));
    if (!connected) co_return Result(tl::unexpect, std::move(connected.error()));
    auto greeted = co_await session->greet(std::move(tls), std::move(secret));
    if (!greeted) {
        if (session->alive_) co_await session->quit();
        co_return Result(tl::unexpect, std::move(greeted.error()));
    }
    session->connect_delay_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    co_return Result(std::move(session));
}

Task<Session::Step> Session::connect(std::string unix_folder) {
    Expected<SockAddr> address;
    if (host_.is_unix()) {
        bool absolute = host_.unix_path.front() == '/';
        address = SockAddr::unix_path(absolute ? host_.unix_path : unix_folder + "/" + host_.unix_path);
    } else {
        address = SockAddr::ip(host_.address, host_.port);
    }
    if (!address)
        co_return Step(tl::unexpect,
                       make_failure("4.4.1", "connect to " + host_.relay() + ": " + address.error().text));
    Expected<SockAddr> bind;
    const SockAddr* from = nullptr;
    const std::string& wanted = address->is_ipv6() ? settings_.bind_address6 : settings_.bind_address;
    if (!host_.is_unix() && !wanted.empty()) {
        bind = SockAddr::ip(wanted, 0);
        if (bind)
            from = &*bind;
        else
            log::warning("bad bind address {}: {}", wanted, bind.error().text);
    }
    auto fd = co_await connect_to(*address, settings_.connect_timeout, from);
    if (!fd) {
        std::string text = fmt::format("connect to {}: {}", host_.relay(), std::strerror(fd.error().code));
        log::info("{}", text);
        co_return Step(tl::unexpect, make_failure("4.4.1", std::move(text)));
    }
    stream_.emplace(std::move(*fd));
    alive_ = true;
    co_return Step();
}

Task<Session::Answer> Session::read_reply(const char* doing, Millis timeout) {
    smtp::ReplyParser parser;
    for (;;) {
        auto line = co_await stream_->read_line(kMaxReplyLine, timeout);
        if (!line) {
            if (line.error().code == EMSGSIZE) {
                // A line of any length is a line: its beginning was lost with the rest.
                auto skipped = co_await stream_->skip_line(1 << 20, timeout);
                if (skipped) continue;
                co_return Answer(tl::unexpect, lost(skipped.error(), doing));
            }
            co_return Answer(tl::unexpect, lost(line.error(), doing));
        }
        auto done = parser.feed(line->text);
        if (!done) {
            alive_ = false;
            co_return Answer(tl::unexpect, make_failure("4.5.0",
                                                        fmt::format("host {} said something that is no SMTP reply: {}",
                                                                    host_.label(), line->text.substr(0, 100)),
                                                        host_.relay()));
        }
        if (*done) break;
    }
    smtp::Reply reply = parser.take();
    if (reply.code == 421) alive_ = false;   // RFC 5321 §3.8: it is closing the channel
    co_return Answer(std::move(reply));
}

Task<Session::Answer> Session::command(std::string line, const char* doing, Millis timeout) {
    stream_->put(line);
    stream_->put("\r\n");
    auto flushed = co_await stream_->flush(timeout);
    if (!flushed) co_return Answer(tl::unexpect, lost(flushed.error(), doing));
    auto reply = co_await read_reply(doing, timeout);
    co_return reply;
}

Failure Session::lost(const Error& error, const char* doing) {
    alive_ = false;
    Failure out;
    out.dsn = "4.4.2";
    out.relay = host_.relay();
    out.stale = reused_ && deliveries_ >= 0;
    if (error.code == ETIMEDOUT)
        out.text = fmt::format("conversation with {} timed out while {}", host_.label(), doing);
    else
        out.text = fmt::format("lost connection with {} while {}", host_.label(), doing);
    return out;
}

// "host mx[192.0.2.1] said: 550 5.1.1 ... (in reply to RCPT TO command)"
Failure Session::refused(const smtp::Reply& reply, const char* in_reply_to) const {
    Failure out;
    char kind = reply.permanent() ? '5' : '4';
    out.dsn = reply.enhanced;
    if (out.dsn.empty() || out.dsn[0] != kind) out.dsn = std::string(1, kind) + ".0.0";
    std::string text = reply.text();
    out.text = fmt::format("host {} said: {} (in reply to {})", host_.label(), text, in_reply_to);
    out.remote_mta = "dns; " + host_.name;
    out.diagnostic = "smtp; " + text;
    out.relay = host_.relay();
    return out;
}

Task<Session::Step> Session::hello() {
    const char* verb = settings_.lmtp ? "LHLO " : "EHLO ";
    const char* doing = settings_.lmtp ? "performing the LHLO handshake" : "performing the EHLO handshake";
    ehlo_ = {};
    if (esmtp_) {
        auto reply = co_await command(verb + settings_.helo_name, doing, settings_.helo_timeout);
        if (!reply) co_return Step(tl::unexpect, std::move(reply.error()));
        if (reply->positive()) {
            ehlo_ = smtp::parse_ehlo(*reply, settings_.discard_ehlo_keywords);
            co_return Step();
        }
        // RFC 5321 §3.2: a server that does not know EHLO may know HELO.
        if (settings_.lmtp || !reply->permanent() || !alive_) {
            Failure failure = refused(*reply, "EHLO command");
            failure.text = fmt::format("host {} refused to talk to me: {}", host_.label(), reply->text());
            co_return Step(tl::unexpect, std::move(failure));
        }
    }
    esmtp_ = false;
    auto reply =
        co_await command("HELO " + settings_.helo_name, "performing the HELO handshake", settings_.helo_timeout);
    if (!reply) co_return Step(tl::unexpect, std::move(reply.error()));
    if (!reply->positive()) {
        Failure failure = refused(*reply, "HELO command");
        failure.text = fmt::format("host {} refused to talk to me: {}", host_.label(), reply->text());
        co_return Step(tl::unexpect, std::move(failure));
    }
    co_return Step();
}

Task<Session::Step> Session::start_tls(TlsPlan tls, bool immediately) {
    if (!immediately) {
        auto reply = co_await command("STARTTLS", "performing the STARTTLS handshake", settings_.starttls_timeout);
        if (!reply) co_return Step(tl::unexpect, std::move(reply.error()));
        if (reply->code != 220) {
            if (tls.level == TlsLevel::kMay) co_return Step();
            Failure failure = refused(*reply, "STARTTLS command");
            failure.dsn = "4.7.4";
            failure.text =
                fmt::format("TLS is required, but host {} refused to start TLS: {}", host_.label(), reply->text());
            co_return Step(tl::unexpect, std::move(failure));
        }
    }
    TlsHandshake wanted{tls.server_name, tls.names, &tls.versions, tls.ciphers};
    auto shaken = co_await stream_->start_tls_client(*tls.context, std::move(wanted), settings_.starttls_timeout);
    if (!shaken) {
        alive_ = false;
        log::info("SSL_connect error to {}: {}", host_.relay(), shaken.error().text);
        Failure failure = make_failure(
            "4.7.5",
            tls.level >= TlsLevel::kVerify ? "Server certificate not verified" : "Cannot start TLS: handshake failure",
            host_.relay());
        failure.tls_failed = tls.level == TlsLevel::kMay;
        co_return Step(tl::unexpect, std::move(failure));
    }
    if (settings_.tls_log_level > 0) {
        const TlsInfo* info = stream_->tls();
        const char* trust = tls.level >= TlsLevel::kVerify ? "Verified"
                            : !info->peer_shown            ? "Anonymous"
                            : info->peer_trusted           ? "Trusted"
                                                           : "Untrusted";
        log::info("{} TLS connection established to {}: {}", trust, host_.relay(), info->summary());
    }
    co_return Step();
}

Task<Session::Step> Session::authenticate(SaslSecret secret) {
    const auto& options = stream_->tls() ? settings_.sasl_tls_options : settings_.sasl_options;
    std::string mechanism = choose_mechanism(ehlo_.auth, options, settings_.sasl_mechanism_filter);
    auto failed = [&](std::string why, std::string dsn) {
        if (settings_.sasl_soft_bounce) dsn[0] = '4';
        return Step(tl::unexpect, make_failure(std::move(dsn), std::move(why), host_.relay()));
    };
    if (mechanism.empty()) {
        log::warning("SASL authentication failure: No worthy mechs found");
        co_return failed(
            fmt::format("SASL authentication failed; cannot authenticate to server {}: no mechanism available",
                        host_.label()),
            "4.7.0");
    }
    SaslClient client(mechanism, std::move(secret));
    std::string line = "AUTH " + mechanism;
    if (auto initial = client.initial()) line += " " + (initial->empty() ? "=" : sasl::base64_encode(*initial));
    constexpr const char* kDoing = "performing the AUTH handshake";
    auto reply = co_await command(std::move(line), kDoing, settings_.mail_timeout);
    for (int round = 0; reply && reply->code == 334 && round < 10; ++round) {
        auto challenge = sasl::base64_decode(smtp::trim(reply->lines.front()));
        std::optional<std::string> answer;
        if (challenge) answer = client.step(*challenge);
        std::string encoded = answer ? sasl::base64_encode(*answer) : "*";   // RFC 4954 §4: "*" cancels
        reply = co_await command(std::move(encoded), kDoing, settings_.mail_timeout);
    }
    if (!reply) co_return Step(tl::unexpect, std::move(reply.error()));
    if (reply->code == 235) co_return Step();
    std::string dsn = reply->enhanced.empty() ? (reply->permanent() ? "5.7.8" : "4.7.0") : reply->enhanced;
    co_return failed(fmt::format("SASL authentication failed; server {} said: {}", host_.label(), reply->text()),
                     std::move(dsn));
}

Task<Session::Step> Session::greet(TlsPlan tls, std::optional<SaslSecret> secret) {
    if (settings_.tls_wrapper && tls.level != TlsLevel::kNone) {
        auto wrapped = co_await start_tls(tls, true);
        if (!wrapped) co_return wrapped;
    }
    auto banner = co_await read_reply("receiving the initial server greeting", settings_.helo_timeout);
    if (!banner) co_return Step(tl::unexpect, std::move(banner.error()));
    if (!banner->positive()) {
        Failure failure = refused(*banner, "connection");
        failure.text = fmt::format("host {} refused to talk to me: {}", host_.label(), banner->text());
        if (settings_.skip_5xx_greeting) failure.dsn[0] = '4';
        co_return Step(tl::unexpect, std::move(failure));
    }
    std::string_view words = banner->lines.front();
    std::string name(smtp::next_word(words));
    if (!settings_.lmtp && host_.port == 25 && smtp::equals_ignoring_case(name, settings_.myhostname)) {
        log::warning("host {} greeted me with my own hostname {}", host_.label(), settings_.myhostname);
        co_return Step(tl::unexpect, make_failure("5.4.6", fmt::format("mail for {} loops back to myself", host_.name),
                                                  host_.relay()));
    }
    esmtp_ = settings_.always_send_ehlo || banner->lines.front().find("ESMTP") != std::string::npos;
    if (settings_.never_send_ehlo) esmtp_ = false;
    auto helloed = co_await hello();
    if (!helloed) co_return helloed;

    if (tls.level != TlsLevel::kNone && !stream_->tls()) {
        if (ehlo_.start_tls) {
            auto started = co_await start_tls(tls, false);
            if (!started) co_return started;
            if (stream_->tls()) {
                auto again = co_await hello();   // RFC 3207 §4.2: what was known is forgotten
                if (!again) co_return again;
            }
        } else if (tls.level != TlsLevel::kMay) {
            co_return Step(
                tl::unexpect,
                make_failure("4.7.4", fmt::format("TLS is required, but was not offered by host {}", host_.label()),
                             host_.relay()));
        }
    }
    // Postfix: a server that does not offer AUTH is used without.
    if (secret && !ehlo_.auth.empty()) {
        auto authenticated = co_await authenticate(std::move(*secret));
        if (!authenticated) co_return authenticated;
    }
    co_return Step();
}

Task<void> Session::quit() {
    if (!stream_) co_return;
    if (alive_) {
        alive_ = false;
        stream_->put("QUIT\r\n");
        auto flushed = co_await stream_->flush(settings_.quit_timeout);
        if (flushed && !settings_.skip_quit_response) {
            auto line = co_await stream_->read_line(kMaxReplyLine, settings_.quit_timeout);
            (void)line;
        }
    }
    stream_->close();
}

}   // namespace postcot::queued
