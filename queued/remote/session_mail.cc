// RFC 5321 §3.3: the mail transaction, pipelined where the server can (RFC 2920), with one reply for each recipient where it is LMTP (RFC 2033 §4.2).
#include <fmt/format.h>

#include <algorithm>

#include "libproto/mime/seven_bit.h"
#include "libproto/smtp/data.h"
#include "libproto/smtp/idna.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/text.h"
#include "libproto/smtp/xtext.h"
#include "queued/remote/line_folder.h"
#include "queued/remote/session.h"

namespace postcot::queued {

namespace {

constexpr size_t kPipelined = 100;   // RCPT commands under way at once: their replies must fit into the peer's buffers
constexpr size_t kContentChunk = 32 * 1024;
constexpr size_t kHeaderLook = 64 * 1024;   // how far to look for a header that needs SMTPUTF8

std::string notify_words(uint8_t notify) {
    if (notify & ipc::kNotifyNever) return "NEVER";
    std::string out;
    auto add = [&](uint8_t bit, const char* word) {
        if (!(notify & bit)) return;
        if (!out.empty()) out += ',';
        out += word;
    };
    add(ipc::kNotifySuccess, "SUCCESS");
    add(ipc::kNotifyFailure, "FAILURE");
    add(ipc::kNotifyDelay, "DELAY");
    return out;
}

// "rfc822;user@example.com": the part after the type in xtext (RFC 3461 §4.2).
std::string encode_orcpt(const std::string& orcpt) {
    size_t semicolon = orcpt.find(';');
    if (semicolon == std::string::npos) return "rfc822;" + smtp::encode_xtext(orcpt);
    return orcpt.substr(0, semicolon + 1) + smtp::encode_xtext(std::string_view(orcpt).substr(semicolon + 1));
}

// The domain in A-labels unless the server speaks SMTPUTF8.
std::string wire_path(const std::string& address, bool utf8) {
    if (address.empty()) return {};
    if (!utf8) {
        smtp::Path path = smtp::split_internal(address);
        if (!smtp::is_ascii(path.domain))
            if (auto ascii = smtp::domain_to_ascii(path.domain)) path.domain = *ascii;
        return path.external();
    }
    return smtp::to_external(address);
}

bool local_is_ascii(const std::string& address) { return smtp::is_ascii(smtp::split_internal(address).local); }

// Calls `take` with each piece of the text.
template <class Take>
Expected<void> for_each_piece(const ipc::DeliverContent& content, Take take) {
    std::string raw;
    for (uint64_t offset = 0;;) {
        raw.resize(kContentChunk);
        auto got = content.read_at(raw.data(), raw.size(), offset);
        if (!got) return fail(std::move(got.error()));
        if (*got == 0) return {};
        offset += *got;
        if (!take(std::string_view(raw).substr(0, *got))) return {};
    }
}

}   // namespace

struct Session::Body {
    bool eight_bit = false;                               // whatever BODY= said when it came
    std::unique_ptr<mime::SevenBitConverter> converter;   // the server cannot take it as it is
};

// RFC 6152 §3: what has octets above 127 is 8BITMIME for a server that has the extension, and is converted for one that has not.
Expected<Session::Body> Session::look_at(const ipc::Deliver& deliver, const ipc::DeliverContent& content) const {
    Body out;
    out.eight_bit = ehlo_.eight_bit_mime &&
                    (deliver.body == ipc::BodyType::k8BitMime || deliver.body == ipc::BodyType::kBinaryMime);
    if (out.eight_bit || (!ehlo_.eight_bit_mime && !settings_.convert_eight_bit)) return out;
    auto looked = for_each_piece(content, [&](std::string_view piece) {
        out.eight_bit = mime::has_eight_bit(piece);
        return !out.eight_bit;
    });
    if (!looked) return fail(std::move(looked.error()));
    if (!out.eight_bit || ehlo_.eight_bit_mime) return out;
    mime::EightBitFinder finder;
    looked = for_each_piece(content, [&](std::string_view piece) {
        finder.feed(piece);
        return true;
    });
    if (!looked) return fail(std::move(looked.error()));
    finder.finish();
    if (finder.any())
        out.converter = std::make_unique<mime::SevenBitConverter>(
            finder.leaves());   // else it is the header alone: nothing can be done for it
    return out;
}

// smtp(8) flags=DOR.
std::string Session::added_header(const ipc::Deliver& deliver) const {
    std::string out;
    const auto& to = deliver.recipients.front().recipient;
    if (settings_.add_return_path) out += "Return-Path: <" + smtp::to_external(deliver.sender) + ">\n";
    if (settings_.add_original_to)
        out += "X-Original-To: " + smtp::to_external(to.original.empty() ? to.address : to.original) + '\n';
    if (settings_.add_delivered_to) out += "Delivered-To: " + smtp::to_external(to.address) + '\n';
    return out;
}

std::optional<Failure> Session::cannot_take(const ipc::Deliver& deliver, const ipc::DeliverContent& content,
                                            const std::vector<Attempt*>& attempts, bool& needs_utf8) const {
    needs_utf8 = false;
    if (deliver.smtputf8) {
        // RFC 6531 §3.4: only mail that does need it is lost to servers without it.
        needs_utf8 = !local_is_ascii(deliver.sender);
        for (const auto* attempt : attempts)
            needs_utf8 = needs_utf8 || !local_is_ascii(attempt->recipient->recipient.address);
        if (!needs_utf8) {
            auto prefix = content.read_prefix(kHeaderLook);
            std::string_view header = prefix ? std::string_view(*prefix) : std::string_view();
            header = header.substr(0, header.find("\n\n"));
            needs_utf8 = !smtp::is_ascii(header);
        }
        if (needs_utf8 && !ehlo_.smtp_utf8)
            return make_failure("5.6.7",
                                fmt::format("SMTPUTF8 is required, but was not offered by host {}", host_.label()),
                                host_.relay());
    }
    if (ehlo_.size && ehlo_.max_size > 0 && content.size() > ehlo_.max_size)
        return make_failure("5.3.4",
                            fmt::format("message size {} exceeds size limit {} of server {}", content.size(),
                                        ehlo_.max_size, host_.label()),
                            host_.relay());
    return std::nullopt;
}

std::string Session::mail_command(const ipc::Deliver& deliver, const ipc::DeliverContent& content, bool needs_utf8,
                                  const Body& body) const {
    std::string out = "MAIL FROM:<" + wire_path(deliver.sender, needs_utf8) + ">";
    if (ehlo_.size) out += fmt::format(" SIZE={}", content.size());
    if (ehlo_.eight_bit_mime) {
        if (body.eight_bit)
            out += " BODY=8BITMIME";
        else if (deliver.body == ipc::BodyType::k7Bit)
            out += " BODY=7BIT";
    }
    if (needs_utf8) out += " SMTPUTF8";
    if (ehlo_.dsn) {
        if (!deliver.envid.empty()) out += " ENVID=" + smtp::encode_xtext(deliver.envid);
        if (deliver.ret == ipc::Ret::kFull)
            out += " RET=FULL";
        else if (deliver.ret == ipc::Ret::kHeaders)
            out += " RET=HDRS";
    }
    if (deliver.requiretls && ehlo_.require_tls && stream_->tls()) out += " REQUIRETLS";
    return out + "\r\n";
}

std::string Session::rcpt_command(const ipc::DeliverRecipient& entry, bool smtputf8) const {
    const ipc::Recipient& recipient = entry.recipient;
    std::string out =
        "RCPT TO:<" + wire_path(recipient.address, ehlo_.smtp_utf8 && !local_is_ascii(recipient.address)) + ">";
    if (ehlo_.dsn) {
        // RFC 3461 §5.2.1: who first sends it with DSN may name the original recipient. UTF-8 travels as it is only where SMTPUTF8 is asked for (RFC 6533 §3).
        std::string orcpt = recipient.orcpt;
        if (orcpt.empty() && settings_.send_original_recipient) {
            const auto given = smtp::to_external(recipient.original.empty() ? recipient.address : recipient.original);
            orcpt = (smtp::is_ascii(given) ? "rfc822;" : "utf-8;") + given;
        }
        if (!orcpt.empty() && (smtputf8 || smtp::is_ascii(orcpt))) out += " ORCPT=" + encode_orcpt(orcpt);
        if (recipient.notify != 0) out += " NOTIFY=" + notify_words(recipient.notify);
    }
    return out + "\r\n";
}

ipc::RecipientResult Session::accepted(const smtp::Reply& reply) const {
    ipc::RecipientResult out;
    out.outcome = ipc::Outcome::kSent;
    out.dsn = reply.enhanced.empty() ? "2.0.0" : reply.enhanced;
    out.text = reply.text();
    out.relay = host_.relay();
    out.remote_mta = "dns; " + host_.name;
    out.diagnostic = "smtp; " + out.text;
    out.dsn_passed_on = ehlo_.dsn;
    out.relayed_without_dsn = !ehlo_.dsn && !settings_.final_delivery;
    return out;
}

void Session::give_up(std::vector<Attempt*>& attempts, const Failure& failure) {
    for (auto* attempt : attempts) {
        if (attempt->result) continue;
        attempt->last = failure;
        if (!failure.permanent()) continue;
        ipc::RecipientResult result;
        result.outcome = ipc::Outcome::kBounced;
        result.dsn = failure.dsn;
        result.text = failure.text;
        result.relay = failure.relay;
        result.remote_mta = failure.remote_mta;
        result.diagnostic = failure.diagnostic;
        attempt->result = std::move(result);
    }
}

Task<bool> Session::send_content(const ipc::Deliver& deliver, const ipc::DeliverContent& content, Body& body,
                                 Failure& failure) {
    constexpr const char* kDoing = "sending message body";
    smtp::DataEncoder encoder;
    LineFolder folder(settings_.line_length_limit);
    std::string raw, converted, folded, wire;
    uint64_t offset = 0;
    encoder.feed(added_header(deliver), wire);
    stream_->put(wire);
    for (;;) {
        raw.resize(kContentChunk);
        auto got = content.read_at(raw.data(), raw.size(), offset);
        if (!got) {
            // Half a message must not look like a whole one: no final dot.
            alive_ = false;
            failure = make_failure("4.3.0", "error reading message: " + got.error().text, host_.relay());
            co_return false;
        }
        if (*got == 0) break;
        offset += *got;
        folded.clear();
        wire.clear();
        std::string_view text = std::string_view(raw).substr(0, *got);
        if (body.converter) {
            converted.clear();
            body.converter->feed(text, converted);
            text = converted;
        }
        folder.feed(text, folded);
        encoder.feed(folded, wire);
        auto written = co_await stream_->write(wire, settings_.data_xfer_timeout);
        if (!written) {
            failure = lost(written.error(), kDoing);
            co_return false;
        }
    }
    wire.clear();
    if (body.converter) {
        converted.clear();
        folded.clear();
        body.converter->finish(converted);
        folder.feed(converted, folded);
        encoder.feed(folded, wire);
    }
    encoder.finish(wire);
    stream_->put(wire);
    auto flushed = co_await stream_->flush(settings_.data_xfer_timeout);
    if (!flushed) {
        failure = lost(flushed.error(), kDoing);
        co_return false;
    }
    co_return true;
}

Task<void> Session::deliver(const ipc::Deliver& deliver, const ipc::DeliverContent& content,
                            std::vector<Attempt*> attempts) {
    auto started = std::chrono::steady_clock::now();
    bool needs_utf8 = false;
    if (auto unfit = cannot_take(deliver, content, attempts, needs_utf8)) {
        give_up(attempts, *unfit);
        co_return;
    }
    auto body = look_at(deliver, content);
    if (!body) {
        give_up(attempts, make_failure("4.3.0", "error reading message: " + body.error().text, host_.relay()));
        co_return;
    }
    bool pipelining = ehlo_.pipelining;
    ++deliveries_;

    // MAIL, and with pipelining the first recipients behind it.
    size_t sent = 0, answered = 0;
    bool data_sent = false;
    stream_->put(mail_command(deliver, content, needs_utf8, *body));
    auto put_recipients = [&] {
        size_t count = pipelining ? kPipelined : 1;
        for (; sent < attempts.size() && count > 0; --count)
            stream_->put(rcpt_command(*attempts[sent++]->recipient, needs_utf8));
        if (pipelining && sent == attempts.size() && !deliver.verify) {
            stream_->put("DATA\r\n");
            data_sent = true;
        }
    };
    if (pipelining) put_recipients();
    auto flushed = co_await stream_->flush(settings_.mail_timeout);
    if (!flushed) {
        Failure failure = lost(flushed.error(), "sending MAIL FROM");
        give_up(attempts, failure);
        co_return;
    }
    auto mail = co_await read_reply("sending MAIL FROM", settings_.mail_timeout);
    if (!mail || !mail->positive()) {
        Failure failure = mail ? refused(*mail, "MAIL FROM command") : std::move(mail.error());
        give_up(attempts, failure);
        // Replies to what was pipelined behind it are not waited for.
        if (pipelining && alive_) {
            alive_ = false;
            stream_->close();
        }
        co_return;
    }

    std::vector<Attempt*> taken;
    while (answered < attempts.size()) {
        if (answered == sent) {
            put_recipients();
            auto pushed = co_await stream_->flush(settings_.rcpt_timeout);
            if (!pushed) {
                Failure failure = lost(pushed.error(), "sending RCPT TO");
                give_up(attempts, failure);
                co_return;
            }
        }
        auto reply = co_await read_reply("sending RCPT TO", settings_.rcpt_timeout);
        if (!reply) {
            give_up(attempts, reply.error());
            co_return;
        }
        Attempt* attempt = attempts[answered++];
        if (reply->positive()) {
            taken.push_back(attempt);
            if (deliver.verify) {   // that is all we wanted to know
                attempt->result = accepted(*reply);
                attempt->result->connect_delay = connect_delay_;
                attempt->result->transmit_delay =
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
            }
            continue;
        }
        // RFC 5321 §4.5.3.1.10: 552 here is "too many recipients" of old servers.
        if (reply->code == 552) {
            reply->code = 452;
            if (!reply->enhanced.empty()) reply->enhanced[0] = '4';
        }
        std::vector<Attempt*> one = {attempt};
        give_up(one, refused(*reply, "RCPT TO command"));
        if (!alive_) {   // 421
            give_up(attempts, refused(*reply, "RCPT TO command"));
            co_return;
        }
    }

    if ((taken.empty() || deliver.verify) && !data_sent) {
        auto reset = co_await command("RSET", "sending RSET", settings_.rset_timeout);
        if (!reset || !reset->positive()) alive_ = false;
        co_return;
    }
    if (!data_sent) {
        stream_->put("DATA\r\n");
        auto pushed = co_await stream_->flush(settings_.data_init_timeout);
        if (!pushed) {
            Failure failure = lost(pushed.error(), "sending DATA command");
            give_up(taken, failure);
            co_return;
        }
    }
    auto go = co_await read_reply("sending DATA command", settings_.data_init_timeout);
    if (!go || go->code != 354) {
        Failure failure = go ? refused(*go, "DATA command") : std::move(go.error());
        give_up(taken, failure);
        // The server is back where it was before MAIL only when it says so.
        if (alive_) {
            auto reset = co_await command("RSET", "sending RSET", settings_.rset_timeout);
            if (!reset || !reset->positive()) alive_ = false;
        }
        co_return;
    }
    if (taken.empty()) {
        // Nobody is left but the server wants the message: an empty one, for no one.
        auto none = co_await command(".", "sending end of data", settings_.data_done_timeout);
        if (!none) alive_ = false;
        co_return;
    }

    Failure failure;
    bool complete = co_await send_content(deliver, content, *body, failure);
    if (!complete) {
        give_up(taken, failure);
        co_return;
    }
    constexpr const char* kLast = "sending end of data -- message may be sent more than once";
    double transmit = 0;
    size_t replies = settings_.lmtp ? taken.size() : 1;
    for (size_t i = 0; i < replies; ++i) {
        auto reply = co_await read_reply(kLast, settings_.data_done_timeout);
        transmit = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
        std::vector<Attempt*> concerned = settings_.lmtp ? std::vector<Attempt*>{taken[i]} : taken;
        if (!reply) {
            reply.error().stale = false;   // the server may have taken it
            std::vector<Attempt*> rest(taken.begin() + static_cast<std::ptrdiff_t>(i), taken.end());
            give_up(rest, reply.error());
            co_return;
        }
        if (!reply->positive()) {
            give_up(concerned, refused(*reply, "end of DATA command"));
            continue;
        }
        for (auto* attempt : concerned) {
            attempt->result = accepted(*reply);
            attempt->result->connect_delay = connect_delay_;
            attempt->result->transmit_delay = transmit;
        }
    }
    // Told once: the next message on this connection did not wait for it.
    connect_delay_ = 0;
}

}   // namespace postcot::queued
