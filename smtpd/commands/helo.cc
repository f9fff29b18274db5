// RFC 5321 §4.1.1.1: EHLO and HELO; RFC 2033 §4.1: LHLO.
#include "libproto/runtime/loop_inl.h"
#include "libproto/smtp/text.h"
#include "smtpd/session.h"

namespace postcot::smtpd {

Task<void> Session::on_helo(smtp::CommandLine command) {
    const bool lhlo = command.verb == smtp::Verb::kLhlo;
    // RFC 2033 §4.1: an LMTP server must not take HELO or EHLO, an SMTP server knows no LHLO.
    if (lhlo != service_.lmtp) {
        on_unknown(command);
        co_return;
    }
    const auto verb = smtp::upper(command.word);
    if (command.arguments.empty()) {
        reply(501, "", "Syntax: " + verb + " hostname");
        co_return;
    }
    std::string name(command.arguments.substr(0, 255));
    for (char& c : name) {
        if (static_cast<unsigned char>(c) < 0x21 || c == 0x7F || c == '<' || c == '>') c = '?';
    }
    // §4.1.4: a new EHLO is an RSET.
    reset_transaction();
    c_.helo_name = std::move(name);
    c_.extended = command.verb != smtp::Verb::kHelo;
    if (!service_.delay_reject) {
        auto v = co_await runtime_.restrictions->at_helo(c_);
        if (v.refused()) {
            refuse(verb, v);
            c_.helo_name.clear();
            co_return;
        }
    }
    if (!c_.extended) {
        reply(250, "", service_.my_hostname);
        co_return;
    }
    co_await learn_mechanisms();
    reply_lines(250, ehlo_keywords());
}

std::vector<std::string> Session::ehlo_keywords() {
    std::vector<std::string> out{service_.my_hostname};
    const auto off = discard_keywords_;
    auto add = [&](uint32_t keyword, std::string text) {
        if (!(off & keyword)) out.push_back(std::move(text));
    };
    add(kPipelining, "PIPELINING");   // RFC 2920
    add(kSize,
        service_.limits.message_size ? "SIZE " + std::to_string(service_.limits.message_size) : "SIZE");   // RFC 1870
    if (!service_.disable_vrfy) add(kVrfy, "VRFY");
    add(kEtrn, "ETRN");                                               // RFC 1985
    if (runtime_.tls && !stream_.tls()) add(kStartTls, "STARTTLS");   // RFC 3207 §4.2: not again under TLS
    const auto mechanisms = auth_mechanisms();
    if (!mechanisms.empty() && c_.sasl_username.empty()) {
        add(kAuth, "AUTH " + mechanisms);   // RFC 4954 §3
        if (service_.broken_sasl_clients) add(kAuth, "AUTH=" + mechanisms);
    }
    add(kEnhancedStatusCodes, "ENHANCEDSTATUSCODES");   // RFC 2034
    add(kEightBitMime, "8BITMIME");                     // RFC 6152
    add(kDsn, "DSN");                                   // RFC 3461
    add(kSmtpUtf8, "SMTPUTF8");                         // RFC 6531
    add(kChunking, "CHUNKING");                         // RFC 3030
    return out;
}

}   // namespace postcot::smtpd
