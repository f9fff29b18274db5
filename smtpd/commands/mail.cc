// RFC 5321 §4.1.1.2: MAIL.
#include <fmt/format.h>
#include <sys/time.h>

#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/text.h"
#include "smtpd/log_lines.h"
#include "smtpd/session.h"

namespace postcot::smtpd {

namespace {
smtp::MailOptions mail_options(const Service& service, uint32_t discarded) {
    smtp::MailOptions out;
    out.strict = service.strict_envelopes;
    out.min_user = service.min_user;
    out.offered.size = !(discarded & kSize);
    out.offered.eight_bit_mime = !(discarded & kEightBitMime);
    out.offered.dsn = !(discarded & kDsn);
    out.offered.smtputf8 = !(discarded & kSmtpUtf8);
    // AUTH= is understood even where AUTH is not offered: a relay may pass it on (RFC 4954 §5).
    out.offered.auth = !(discarded & kAuth);
    return out;
}
}   // namespace

void Session::log_illegal_address(std::string_view verb, std::string_view arguments, const Error& error) const {
    if (error.enhanced != "5.1.7" && error.enhanced != "5.1.3") return;
    const size_t colon = arguments.find(':');
    std::string address(smtp::trim(arguments.substr(colon == std::string_view::npos ? 0 : colon + 1)).substr(0, 100));
    log_warning("Illegal address syntax from " + c_.client.name_address() + " in " + std::string(verb) +
                " command: " + address);
}

Task<void> Session::on_mail(std::string_view arguments) {
    if (c_.helo_name.empty() && (service_.helo_required || service_.lmtp)) {
        reply(503, "5.5.1", service_.lmtp ? "Error: send LHLO first" : "Error: send HELO/EHLO first");
        co_return;
    }
    if (c_.in_transaction) {
        reply(503, "5.5.1", "Error: nested MAIL command");
        co_return;
    }
    if (bdat_active_) {
        reply(503, "5.5.1", "Error: MAIL after out-of-order BDAT");
        co_return;
    }
    auto mail = smtp::parse_mail(arguments, mail_options(service_, discard_keywords_));
    if (!mail) {
        log_illegal_address("MAIL", arguments, mail.error());
        reply(mail.error());
        co_return;
    }
    const auto& limits = service_.limits;
    if (limits.message_rate > 0 && limited()) {
        const int rate = worker_.counters().count(ClientCounters::Event::kMessage, service_.name, c_.client.address,
                                                  limits.rate_unit);
        if (rate > limits.message_rate) {
            reply(450, "4.7.1", "Error: too much mail from " + c_.client.address);
            log_warning(fmt::format("Message delivery request rate limit exceeded: {} from {} for service {}", rate,
                                    c_.client.name_address(), service_.name));
            co_return;
        }
    }
    const uint64_t size = mail->parameters.size.value_or(0);
    c_.in_transaction = true;
    c_.sender = mail->path.internal();
    c_.mail = std::move(mail->parameters);
    // RFC 4954 §5: AUTH= is believed only from an authenticated client.
    c_.sasl_sender = c_.mail.auth && !c_.sasl_username.empty() ? *c_.mail.auth : std::string();
    if (limits.message_size > 0 && size > limits.message_size) {   // RFC 1870 §6.1
        refuse("MAIL", Error{552, "5.3.4", "Message size exceeds fixed limit"});
        reset_transaction();
        co_return;
    }
    auto v = co_await runtime_.restrictions->at_mail(c_);
    if (v.refused()) {
        refuse("MAIL", v);
        reset_transaction();
        co_return;
    }
    choose_milter();
    if (auto missing = unfiltered(); missing.refused()) {
        log_refusal(c_, "milter-reject", "MAIL", missing);
        reply(missing.code, missing.enhanced, missing.text);
        reset_transaction();
        co_return;
    }
    if (milter_.outcome == config::Unfiltered::kHold)
        log_action(c_, "milter-hold", "MAIL", "milter triggers HOLD action");
    if (auto fits = co_await worker_.queue().check_space(size); !fits) {
        refuse("MAIL", fits.error());
        reset_transaction();
        co_return;
    }
    timeval now{};
    gettimeofday(&now, nullptr);
    arrival_seconds_ = now.tv_sec;
    arrival_microseconds_ = static_cast<uint32_t>(now.tv_usec);
    reply(250, "2.1.0", "Ok");
}

Task<void> Session::on_rcpt(std::string_view arguments) {
    if (!c_.in_transaction) {
        reply(503, "5.5.1", "Error: need MAIL command");
        co_return;
    }
    if (bdat_active_) {
        reply(503, "5.5.1", "Error: RCPT after BDAT");
        co_return;
    }
    auto rcpt = smtp::parse_rcpt(arguments, mail_options(service_, discard_keywords_), c_.mail.smtputf8);
    if (!rcpt) {
        log_illegal_address("RCPT", arguments, rcpt.error());
        reply(rcpt.error());
        co_return;
    }
    const auto& limits = service_.limits;
    if (limits.recipients > 0 && recipients_.size() >= limits.recipients) {
        // RFC 5321 §4.5.3.1.10: 452 says "send these next time"; only a client that goes on and on is in error.
        const int before = errors_;
        reply(452, "4.5.3", "Error: too many recipients");
        if (overshoot_++ < limits.recipient_overshoot) errors_ = before;
        co_return;
    }
    if (limits.recipient_rate > 0 && limited()) {
        const int rate = worker_.counters().count(ClientCounters::Event::kRecipient, service_.name, c_.client.address,
                                                  limits.rate_unit);
        if (rate > limits.recipient_rate) {
            reply(450, "4.7.1", "Error: too many recipients from " + c_.client.address);
            log_warning(fmt::format("Recipient address rate limit exceeded: {} from {} for service {}", rate,
                                    c_.client.name_address(), service_.name));
            co_return;
        }
    }
    c_.recipient = rcpt->path.internal();
    auto v = co_await runtime_.restrictions->at_rcpt(c_);
    if (v.refused()) {
        refuse("RCPT", v);
        c_.recipient.clear();
        co_return;
    }
    if (auto missing = no_way_to_queue(); missing.refused()) {
        refuse("RCPT", missing);
        c_.recipient.clear();
        co_return;
    }
    // The queue id is born with the first recipient that is accepted.
    if (recipients_.empty()) {
        auto id = co_await worker_.queue().next_queue_id();
        if (!id) {
            log_warning("connect to queue: " + id.error().text);
            reply(451, "4.3.0", "Error: queue file write error");
            c_.recipient.clear();
            co_return;
        }
        c_.queue_id = std::move(*id);
        std::string line = c_.queue_id + ": client=" + c_.client.name_address();
        if (!c_.sasl_method.empty()) line += ", sasl_method=" + c_.sasl_method;
        if (!c_.sasl_username.empty()) line += ", sasl_username=" + c_.sasl_username;
        if (!c_.sasl_sender.empty()) line += ", sasl_sender=" + c_.sasl_sender;
        log_info(line);
    }
    RecipientFacts facts;
    facts.address = c_.recipient;
    facts.given = rcpt->path.external();
    facts.parameters = std::move(rcpt->parameters);
    recipients_.push_back(std::move(facts));
    c_.recipient_count = recipients_.size();
    reply(250, "2.1.5", "Ok");
}

}   // namespace postcot::smtpd
