#include "smtpd/log_lines.h"

#include "libproto/runtime/log.h"

namespace postcot::smtpd {
namespace {

// With smtpd_delay_reject the client, HELO and sender lists speak at RCPT.
std::string_view verb_of(Stage stage, const Context& c) {
    const bool delayed = c.service->delay_reject;
    switch (stage) {
        case Stage::kClient: return delayed ? "RCPT" : "CONNECT";
        case Stage::kHelo: return delayed ? "RCPT" : c.extended ? "EHLO" : "HELO";
        case Stage::kSender: return delayed ? "RCPT" : "MAIL";
        case Stage::kRelay:
        case Stage::kRecipient: return "RCPT";
        case Stage::kData: return "DATA";
        case Stage::kEndOfData: return "END-OF-MESSAGE";
        case Stage::kEtrn: return "ETRN";
    }
    return "";
}

void write(const Context& c, std::string_view kind, std::string_view verb, std::string_view text) {
    std::string line = c.queue_id.empty() ? "NOQUEUE" : c.queue_id;
    line += ": ";
    line += kind;
    line += ": ";
    line += verb;
    line += " from ";
    line += c.client.name_address();
    line += ": ";
    line += text;
    line += ';';
    if (c.in_transaction) line += " from=<" + smtp::to_external(c.sender) + '>';
    if (!c.recipient.empty()) line += " to=<" + smtp::to_external(c.recipient) + '>';
    line += " proto=" + c.protocol();
    if (!c.helo_name.empty()) line += " helo=<" + c.helo_name + '>';
    if (!c.sasl_username.empty()) line += " sasl_username=<" + c.sasl_username + '>';
    log::write_as(c.service->ident, log::Level::kInfo, line);
}

}   // namespace

void log_refusal(const Context& c, std::string_view kind, std::string_view verb, const Verdict& v) {
    write(c, kind, verb, std::to_string(v.code) + ' ' + v.enhanced + ' ' + v.text);
}

void log_refusal(const Context& c, std::string_view kind, Stage stage, const Verdict& v) {
    log_refusal(c, kind, verb_of(stage, c), v);
}

void log_refusal(const Context& c, std::string_view verb, const Error& refusal) {
    write(c, "reject", verb, std::to_string(refusal.code) + ' ' + refusal.enhanced + ' ' + refusal.text);
}

void log_action(const Context& c, std::string_view kind, Stage stage, std::string_view text) {
    write(c, kind, verb_of(stage, c), text);
}

void log_action(const Context& c, std::string_view kind, std::string_view verb, std::string_view text) {
    write(c, kind, verb, text);
}

}   // namespace postcot::smtpd
