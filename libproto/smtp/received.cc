#include "libproto/smtp/received.h"

#include <fmt/format.h>

#include <cstdlib>

namespace postcot::smtp {
namespace {

// A client chooses these words: nothing in them may end the header or look like another.
std::string printable(std::string_view text) {
    std::string out(text.substr(0, 255));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    return out;
}

}   // namespace

std::string with_protocol(bool lmtp, bool extended, bool tls, bool authenticated, bool smtputf8) {
    std::string out;
    if (lmtp) {
        out = smtputf8 ? "UTF8LMTP" : "LMTP";
    } else if (smtputf8) {
        out = "UTF8SMTP";
    } else {
        out = extended ? "ESMTP" : "SMTP";
    }
    if (extended || lmtp) {
        if (tls) out += 'S';
        if (authenticated) out += 'A';
    }
    return out;
}

std::string mail_date(std::time_t time) {
    struct tm local {};
    localtime_r(&time, &local);
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const long offset = local.tm_gmtoff / 60;
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} {}{:02}{:02} ({})", kDays[local.tm_wday % 7], local.tm_mday,
                       kMonths[local.tm_mon % 12], local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec,
                       offset < 0 ? '-' : '+', std::abs(offset) / 60, std::abs(offset) % 60,
                       local.tm_zone ? local.tm_zone : "UTC");
}

std::string make_message_id(std::string_view queue_id, std::string_view my_hostname, std::time_t time) {
    struct tm utc {};
    gmtime_r(&time, &utc);
    return fmt::format("<{:04}{:02}{:02}{:02}{:02}{:02}.{}@{}>", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec, queue_id, my_hostname);
}

std::string received_header(const ReceivedFacts& f) {
    const bool six = f.client_address.find(':') != std::string::npos;
    std::string out =
        fmt::format("Received: from {} ({} [{}{}])\n", printable(f.helo_name.empty() ? f.client_name : f.helo_name),
                    printable(f.client_name), six ? "IPv6:" : "", f.client_address);
    if (f.tls) {
        out += fmt::format("\t(using {} with cipher {} ({}/{} bits)", f.tls_protocol, f.tls_cipher, f.tls_bits,
                           f.tls_algorithm_bits);
        if (!f.tls_signatures.empty()) out += "\n\t " + f.tls_signatures;
        out += ")\n";
        out += f.tls_asked_client_cert ? "\t(Client did not present a certificate)\n"
                                       : "\t(No client certificate requested)\n";
    }
    if (!f.sasl_username.empty()) out += fmt::format("\t(Authenticated sender: {})\n", printable(f.sasl_username));
    if (f.recipient.empty()) {
        out += fmt::format("\tby {} ({}) with {} id {};\n\t{}\n", f.my_hostname, f.mail_name, f.protocol, f.queue_id,
                           mail_date(f.time));
    } else {
        out += fmt::format("\tby {} ({}) with {} id {}\n\tfor <{}>; {}\n", f.my_hostname, f.mail_name, f.protocol,
                           f.queue_id, printable(f.recipient), mail_date(f.time));
    }
    return out;
}

std::string received_header_local(std::string_view my_hostname, std::string_view mail_name, unsigned uid,
                                  std::string_view queue_id, std::time_t time) {
    return fmt::format("Received: by {} ({}, from userid {})\n\tid {}; {}\n", my_hostname, mail_name, uid, queue_id,
                       mail_date(time));
}

}   // namespace postcot::smtp
