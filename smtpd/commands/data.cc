// RFC 5321 §4.1.1.4: DATA; RFC 3030: BDAT; and what follows the last octet of either.
#include "libproto/smtp/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>

#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/received.h"
#include "libproto/smtp/reply.h"
#include "libproto/smtp/text.h"
#include "smtpd/log_lines.h"
#include "smtpd/session.h"

namespace postcot::smtpd {

// RFC 2033 §4.2 wants 503 from LMTP; RFC 5321 §3.3 leaves SMTP the choice, and this is Postfix's.
Error Session::no_recipients() const { return Error{service_.lmtp ? 503 : 554, "5.5.1", "Error: no valid recipients"}; }

Task<void> Session::on_data(std::string_view arguments) {
    if (bdat_active_) {
        reply(503, "5.5.1", "Error: DATA after BDAT");   // RFC 3030 §2
        co_return;
    }
    if (recipients_.empty()) {
        if (!c_.in_transaction) {
            reply(503, "5.5.1", "Error: need RCPT command");
        } else {
            reply(no_recipients());
        }
        co_return;
    }
    if (!arguments.empty()) {
        reply(501, "5.5.4", "Syntax: DATA");
        co_return;
    }
    if (recipients_.size() > 1) c_.recipient.clear();
    auto v = co_await runtime_.restrictions->at_data(c_);
    if (v.refused()) {
        refuse("DATA", v);
        co_return;
    }
    if (auto missing = unfiltered_content(); missing.refused()) {
        refuse("DATA", missing);
        co_return;
    }
    auto begun = co_await begin_message();
    if (!begun) {
        reply(begun.error());
        co_return;
    }
    reply(354, "", "End data with <CR><LF>.<CR><LF>");

    const bool excluded = client_in(runtime_.tables->bare_newline_exclusions);
    // Local clients may be old; that must not open them to smuggling: only the refusal is waived.
    auto policy = service_.bare_newline;
    if (excluded && policy == smtp::BareNewline::kReject) policy = smtp::BareNewline::kNormalize;
    smtp::DataDecoder decoder(policy);
    while (!decoder.done()) {
        auto input = co_await stream_.peek();
        if (!input) {
            lost(input.error());
            co_return;
        }
        const size_t used = decoder.feed(*input, message_->sink());
        stream_.consume(used);
        co_await message_->absorb(used);
    }
    where_ = "END-OF-MESSAGE";
    if (policy == smtp::BareNewline::kReject && decoder.saw_bare_newline()) {
        message_->fail_with(Error{service_.bare_newline_code, "5.5.2", "Error: bare <LF> received"});
    }
    co_await finish_message();
}

Task<void> Session::on_bdat(std::string_view arguments) {
    auto bdat = smtp::parse_bdat(arguments);
    if (!bdat) {
        log_warning("NOQUEUE: malformed BDAT command syntax from " + c_.client.name_address() + ": BDAT " +
                    std::string(arguments.substr(0, 100)));
        // Octets of unknown number follow: what they are must not be guessed.
        reply(521, "5.5.4", bdat.error().text);
        end_ = End::kHangUp;
        co_return;
    }
    // RFC 3030 §2: the octets follow whatever the server thinks of them, so they are always read.
    const bool in_order = !recipients_.empty() && !bdat_failed_;
    std::optional<Error> refusal;
    if (recipients_.empty()) {
        if (!c_.in_transaction) {
            refusal = Error{503, "5.5.1", "Error: need RCPT command"};
        } else {
            refusal = no_recipients();
        }
    } else if (bdat_failed_) {
        refusal = Error{503, "5.5.1", "Error: BDAT after a failed BDAT"};
    } else if (discard_keywords_ & kChunking) {
        refusal = Error{502, "5.5.1", "Error: command not implemented"};
    }
    if (in_order && !refusal && !bdat_active_) {
        if (recipients_.size() > 1) c_.recipient.clear();
        auto v = co_await runtime_.restrictions->at_data(c_);
        if (!v.refused()) v = unfiltered_content();
        if (v.refused()) {
            log_refusal(c_, "reject", "BDAT", v);
            refusal = Error{v.code, v.enhanced, v.text};
        } else {
            auto begun = co_await begin_message();
            if (!begun) refusal = begun.error();
        }
    }
    bdat_active_ = true;
    if (refusal) bdat_failed_ = true;

    uint64_t left = bdat->size;
    while (left > 0) {
        auto input = co_await stream_.peek();
        if (!input) {
            lost(input.error());
            co_return;
        }
        const size_t n = static_cast<size_t>(std::min<uint64_t>(left, input->size()));
        if (!bdat_failed_) message_->chunks().feed(input->substr(0, n), message_->sink());
        stream_.consume(n);
        left -= n;
        if (!bdat_failed_) co_await message_->absorb(n);
    }
    if (refusal) {
        reply(*refusal);
        if (bdat->last) reset_transaction();
        co_return;
    }
    if (message_->failed() && !bdat->last) {
        bdat_failed_ = true;
        refuse("BDAT", message_->failure());
        co_return;
    }
    if (!bdat->last) {
        reply(250, "2.0.0", fmt::format("Ok: {} bytes", bdat->size));
        co_return;
    }
    const bool completed = message_->chunks().finish(message_->sink());
    co_await message_->absorb(completed ? 2 : 0);   // counted as the CRLF it stands for
    where_ = "END-OF-MESSAGE";
    co_await finish_message();
}

smtp::HeaderOptions Session::header_options() const {
    smtp::HeaderOptions out;
    if (service_.stand_alone) {   // queued does it all when it picks the message up
        out.drop.clear();
        return out;
    }
    const auto& tables = *runtime_.tables;
    const bool local = (tables.rewrite_inet_interfaces &&
                        (service_.unix_socket || tables.resolver->is_own_address(c_.client.address))) ||
                       (tables.rewrite_mynetworks && client_in(tables.my_networks)) ||
                       (tables.rewrite_sasl && !c_.sasl_username.empty());
    out.drop = service_.drop_headers;
    out.header_size_limit = service_.limits.header_size;
    out.undisclosed_recipients = service_.undisclosed_recipients;
    if (local || service_.always_add_missing_headers) {
        const auto now = std::time(nullptr);
        out.add_missing = true;
        out.message_id = smtp::make_message_id(c_.queue_id, service_.my_hostname, now);
        out.date = smtp::mail_date(now);
        out.from = c_.sender.empty() ? "MAILER-DAEMON" : smtp::to_external(c_.sender);
    }
    if (service_.no_rewrite) return out;
    if (local) {
        auto cleanup = tables.header_rules;
        out.rewrite = [cleanup](std::string_view address, smtp::HeaderClass header_class) {
            auto rewritten = header_class == smtp::HeaderClass::kSender ? cleanup->header_sender(address)
                                                                        : cleanup->header_recipient(address);
            return rewritten ? *rewritten
                             : std::string(address);   // a table that fails must not stop the message: as it came
        };
    } else if (!service_.main.str("remote_header_rewrite_domain").empty()) {
        auto resolver = tables.resolver;
        out.rewrite = [resolver](std::string_view address, smtp::HeaderClass) {
            return resolver->rewriter().remote(address);
        };
    }
    return out;
}

Task<Expected<void>> Session::begin_message() {
    message_ = std::make_unique<Message>(worker_.queue(), c_.queue_id, header_options(), service_.limits.message_size);
    message_->reserve(c_.mail.size.value_or(0));

    smtp::ReceivedFacts facts;
    facts.helo_name = c_.helo_name;
    facts.client_name = c_.client.name;
    facts.client_address = c_.client.address;
    if (const auto* tls = stream_.tls(); tls && service_.tls_received_header) {
        facts.tls = true;
        facts.tls_protocol = tls->protocol;
        facts.tls_cipher = tls->cipher;
        facts.tls_bits = tls->bits;
        facts.tls_algorithm_bits = tls->algorithm_bits;
        facts.tls_signatures = tls->signatures();
    }
    if (service_.sasl_header) facts.sasl_username = c_.sasl_username;
    facts.my_hostname = service_.my_hostname;
    facts.mail_name = service_.mail_name;
    facts.protocol = smtp::with_protocol(service_.lmtp, c_.extended, stream_.tls() != nullptr,
                                         !c_.sasl_username.empty(), c_.mail.smtputf8);
    facts.queue_id = c_.queue_id;
    if (recipients_.size() == 1) facts.recipient = recipients_[0].given;
    facts.time = std::time(nullptr);
    for (const auto& line : c_.effects.prepend) message_->prepend(line + '\n');
    message_->prepend(smtp::received_header(facts));
    co_return Expected<void>();
}

ipc::Envelope Session::envelope() const {
    ipc::Envelope out;
    out.sender = c_.sender;
    out.ret = static_cast<ipc::Ret>(c_.mail.ret);
    out.envid = c_.mail.envid;
    if (c_.mail.body) out.body = *c_.mail.body == smtp::Body::k7Bit ? ipc::BodyType::k7Bit : ipc::BodyType::k8BitMime;
    out.smtputf8 = c_.mail.smtputf8;
    out.filter = c_.effects.filter.empty() ? service_.filter : c_.effects.filter;
    out.no_rewrite = service_.no_rewrite;
    out.no_header_checks = service_.no_header_checks;
    out.no_milters = service_.no_milters;
    out.cleanup_service = service_.cleanup_service;
    out.hold = c_.effects.hold || milter_.outcome == config::Unfiltered::kHold;
    auto add = [&out](const std::string& address) {
        ipc::Recipient recipient;
        recipient.address = address;
        out.recipients.push_back(std::move(recipient));
    };
    if (!c_.effects.redirect.empty()) {
        add(c_.effects.redirect);
    } else {
        for (const auto& r : recipients_) {
            ipc::Recipient recipient;
            recipient.address = r.address;
            recipient.orcpt = r.parameters.orcpt;
            recipient.notify = r.parameters.notify;
            out.recipients.push_back(std::move(recipient));
        }
    }
    for (const auto& address : c_.effects.bcc) add(address);
    out.arrival_seconds = arrival_seconds_;
    out.arrival_microseconds = arrival_microseconds_;
    out.client_name = c_.client.name;
    out.client_address = c_.client.address;
    out.client_port = c_.client.port;
    out.helo_name = c_.helo_name;
    out.protocol = c_.protocol();
    out.sasl_method = c_.sasl_method;
    out.sasl_username = c_.sasl_username;
    out.sasl_sender = c_.sasl_sender;
    return out;
}

Task<void> Session::finish_message() {
    co_await message_->finish();
    c_.size = message_->wire_octets();
    if (!message_->failed() && service_.limits.hopcount > 0 && message_->facts().hops >= service_.limits.hopcount) {
        message_->fail_with(Error{554, "5.4.0", "Error: too many hops"});
    }
    if (!message_->failed()) {
        auto v = co_await runtime_.restrictions->at_end_of_data(c_);
        if (v.refused()) {
            log_refusal(c_, "reject", "END-OF-MESSAGE", v);
            message_->fail_with(Error{v.code, v.enhanced, v.text});
        }
    }
    Expected<std::string> queued = c_.queue_id;
    if (message_->failed()) {
        if (message_->failure().code == 552) {
            log_warning(c_.queue_id + ": queue file size limit exceeded");
        }
        queued = fail(message_->failure());
    } else if (!c_.effects.discard) {
        queued = co_await message_->submit(envelope());
    }
    answer_message(queued);
    reset_transaction();
}

void Session::answer_message(const Expected<std::string>& queued) {
    auto answer = [&](std::string_view prefix) {
        if (queued) {
            errors_ = junk_ = 0;   // as Postfix: whoever gets mail through may err again
            const auto bytes = bdat_active_ ? fmt::format("{} bytes ", c_.size) : std::string();
            reply(250, "2.0.0", std::string(prefix) + "Ok: " + bytes + "queued as " + *queued);
        } else {
            reply(queued.error().code, queued.error().enhanced, std::string(prefix) + queued.error().text);
        }
    };
    if (!service_.lmtp) {
        answer("");
        return;
    }
    // RFC 2033 §4.2: one reply for each recipient that was accepted, in their order.
    const int before = errors_;
    for (const auto& recipient : recipients_) answer('<' + recipient.given + "> ");
    if (errors_ > before) errors_ = before + 1;
}

}   // namespace postcot::smtpd
