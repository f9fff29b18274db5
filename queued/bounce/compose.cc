#include "queued/bounce/compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "libproto/smtp/path.h"

namespace postcot::queued {

namespace {

constexpr size_t kLineWidth = 79;

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

// One logical line: control characters (a remote server's bytes) become '?'.
std::string printable(std::string_view text) {
    std::string out;
    for (char c : text)
        out += static_cast<unsigned char>(c) < 32 || c == 127 ? (c == '\n' || c == '\t' ? ' ' : '?') : c;
    return out;
}

// Folded at white space, continuation lines with four blanks.
void put_wrapped(std::string& out, std::string_view text) {
    size_t room = kLineWidth;
    bool first = true;
    while (!text.empty()) {
        if (!first) {
            out += "    ";
            room = kLineWidth - 4;
        }
        size_t cut = text.size();
        if (cut > room) {
            size_t space = text.rfind(' ', room);
            if (space == std::string_view::npos || space == 0) space = text.find(' ', room);
            if (space != std::string_view::npos) cut = space;
        }
        out += text.substr(0, cut);
        out += '\n';
        text.remove_prefix(cut);
        while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
        first = false;
    }
}

// "MAILER-DAEMON (Mail Delivery System)" as a template has it -> "Mail Delivery System <MAILER-DAEMON@$myorigin>" (header_from_format).
std::string from_header(const std::string& from, const DsnSettings& settings) {
    std::string address = from, name;
    size_t open = from.find('(');
    size_t close = from.rfind(')');
    size_t angle = from.find('<');
    if (open != std::string::npos && close != std::string::npos && close > open) {
        address = from.substr(0, open);
        name = from.substr(open + 1, close - open - 1);
    } else if (angle != std::string::npos && from.find('>', angle) != std::string::npos) {
        name = from.substr(0, angle);
        address = from.substr(angle + 1, from.find('>', angle) - angle - 1);
    }
    auto trim = [](std::string& text) {
        while (!text.empty() && text.back() == ' ') text.pop_back();
        while (!text.empty() && text.front() == ' ') text.erase(0, 1);
    };
    trim(address);
    trim(name);
    if (address.find('@') == std::string::npos) address += "@" + settings.myorigin;
    if (name.empty()) return address;
    return fmt::format("{} <{}>", name, address);
}

std::string external(std::string_view address) { return address.empty() ? std::string() : smtp::to_external(address); }

// RFC 3464 §2.1.2, RFC 6533 §3: the type of an address.
std::string typed(std::string_view address) {
    return (is_ascii(address) ? "rfc822; " : "utf-8; ") + printable(external(address));
}

// The header of the returned message, without the empty line that ends it.
std::string_view header_of(std::string_view message) {
    for (size_t at = 0; at < message.size();) {
        size_t end = message.find('\n', at);
        if (end == std::string_view::npos) {
            // Cut in the middle of the header: whole lines only, unless there is just this one.
            return at == 0 ? message : message.substr(0, at);
        }
        if (end == at || (end == at + 1 && message[at] == '\r')) return message.substr(0, at);
        at = end + 1;
    }
    return message;
}

const DsnTemplate& template_for(const DsnTemplates& templates, DsnKind kind) {
    switch (kind) {
        case DsnKind::kDelay: return templates.delay;
        case DsnKind::kSuccess: return templates.success;
        case DsnKind::kVerify: return templates.verify;
        default: return templates.failure;
    }
}

void put_recipient_text(std::string& out, const DsnRecipient& recipient) {
    std::string line = "<" + printable(external(recipient.address)) + ">";
    if (!recipient.original.empty() && recipient.original != recipient.address)
        line += " (expanded from <" + printable(external(recipient.original)) + ">)";
    line += ": " + printable(recipient.text);
    out += '\n';
    put_wrapped(out, line);
}

// RFC 3464 §2.3
void put_recipient_fields(std::string& out, const DsnRecipient& recipient, const DsnInput& input,
                          const DsnSettings& settings) {
    out += '\n';
    out += "Final-Recipient: " + typed(recipient.address) + '\n';
    if (!recipient.orcpt.empty()) {
        out += "Original-Recipient: " + printable(recipient.orcpt) + '\n';
    } else {
        const std::string& original = recipient.original.empty() ? recipient.address : recipient.original;
        out += "Original-Recipient: rfc822;" + printable(external(original)) + '\n';
    }
    out += "Action: " + recipient.action + '\n';
    out += "Status: " + recipient.status + '\n';
    if (!recipient.remote_mta.empty()) out += "Remote-MTA: " + printable(recipient.remote_mta) + '\n';
    std::string diagnostic = recipient.diagnostic.empty() ? fmt::format("X-{}; {}", settings.mail_name, recipient.text)
                                                          : recipient.diagnostic;
    put_wrapped(out, "Diagnostic-Code: " + printable(diagnostic));
    if (input.kind == DsnKind::kDelay && input.retry_until_seconds > 0)
        out += "Will-Retry-Until: " + mail_date(input.retry_until_seconds) + '\n';
}

std::string message_id(const DsnInput& input, const DsnSettings& settings) {
    std::time_t when = static_cast<std::time_t>(input.now_seconds);
    std::tm utc{};
    gmtime_r(&when, &utc);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &utc);
    return fmt::format("<{}.{}@{}>", stamp, input.dsn_queue_id, settings.myhostname);
}

}   // namespace

std::string mail_date(int64_t seconds) {
    // RFC 5322 §3.3, names in English whatever the locale.
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::time_t when = static_cast<std::time_t>(seconds);
    std::tm local{};
    localtime_r(&when, &local);
    long offset = local.tm_gmtoff / 60;
    char sign = offset < 0 ? '-' : '+';
    if (offset < 0) offset = -offset;
    return fmt::format("{}, {:2d} {} {} {:02d}:{:02d}:{:02d} {}{:02d}{:02d} ({})", kDays[local.tm_wday], local.tm_mday,
                       kMonths[local.tm_mon], local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec, sign,
                       offset / 60, offset % 60, local.tm_zone ? local.tm_zone : "");
}

std::string compose_dsn(const DsnInput& input, const DsnTemplates& templates, const DsnSettings& settings) {
    const DsnTemplate& text = template_for(templates, input.kind);
    bool eight_bit = settings.smtputf8_enable;
    std::string boundary = fmt::format("{}.{}/{}", input.queue_id, input.now_seconds, settings.myhostname);
    std::string encoding = eight_bit ? "Content-Transfer-Encoding: 8bit\n" : "";
    // RFC 6533: the global types only when there is something to be global about.
    bool global = input.smtputf8;
    std::string out;
    out.reserve(4096 + input.original.size());

    out += "Date: " + mail_date(input.now_seconds) + '\n';
    out += "From: " + from_header(text.from, settings) + '\n';
    out += "Subject: " + (input.postmaster_copy ? text.postmaster_subject : text.subject) + '\n';
    out += "To: " + external(input.to) + '\n';
    out += input.postmaster_copy ? "Auto-Submitted: auto-generated\n" : "Auto-Submitted: auto-replied\n";
    out += "MIME-Version: 1.0\n";
    // Postfix says delivery-status for message/global-delivery-status too.
    out += "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"" + boundary + "\"\n";
    out += encoding;
    out += "Message-Id: " + message_id(input, settings) + "\n\n";
    out += "This is a MIME-encapsulated message.\n\n";

    out += "--" + boundary + "\nContent-Description: Notification\nContent-Type: text/plain; charset=";
    out += eight_bit && text.charset == "us-ascii" ? "utf-8" : text.charset;
    out += '\n' + encoding + '\n';
    if (!input.postmaster_copy) out += text.text;
    for (const auto& recipient : input.recipients) put_recipient_text(out, recipient);

    out += "\n--" + boundary + "\nContent-Description: Delivery report\nContent-Type: message/";
    out += global ? "global-delivery-status\n" + encoding : "delivery-status\n";
    out += "\nReporting-MTA: dns; " + settings.myhostname + '\n';
    if (!input.envid.empty()) out += "Original-Envelope-Id: " + printable(input.envid) + '\n';
    out += fmt::format("X-{}-Queue-ID: {}\n", settings.mail_name, input.queue_id);
    out += fmt::format("X-{}-Sender: {}\n", settings.mail_name, typed(input.sender));
    out += "Arrival-Date: " + mail_date(input.arrival_seconds) + '\n';
    for (const auto& recipient : input.recipients) put_recipient_fields(out, recipient, input, settings);

    // RFC 3461 §6.2: the whole message only with a failure, unless RET=HDRS; postconf(5) bounce_size_limit.
    bool whole = input.kind == DsnKind::kFailure && !input.postmaster_copy && input.ret != ipc::Ret::kHeaders &&
                 input.original_size <= input.bounce_size_limit && input.original.size() >= input.original_size;
    bool undelivered = input.kind == DsnKind::kFailure || input.kind == DsnKind::kDelay;
    out += "\n--" + boundary + "\nContent-Description: ";
    out += undelivered ? "Undelivered Message" : "Message";
    out += whole ? "\n" : " Headers\n";
    out += "Content-Type: ";
    if (whole)
        out += global ? "message/global\n" : "message/rfc822\n";
    else
        out += global ? "message/global-headers\n" : "text/rfc822-headers\n";
    out += encoding + '\n';
    out += "Return-Path: <" + external(input.sender) + ">\n";
    out += whole ? input.original : header_of(input.original);
    if (out.back() != '\n') out += '\n';
    out += "\n--" + boundary + "--\n";
    return out;
}

}   // namespace postcot::queued
