#include "queued/local/headers.h"

#include <ctime>

#include "libproto/smtp/path.h"

namespace postcot::queued {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

std::string_view trim(std::string_view text) {
    auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

// A line end inside an address must not make a header of its own.
void put(std::string& out, std::string_view text) {
    for (char c : text) out += c == '\n' || c == '\r' || c == '\0' ? ' ' : c;
}

}   // namespace

std::string delivery_headers(std::string_view sender, std::string_view original_to, std::string_view delivered_to) {
    std::string out = "Return-Path: <";
    put(out, smtp::to_external(sender));
    out += ">\n";
    if (!original_to.empty()) {
        out += "X-Original-To: ";
        put(out, smtp::to_external(original_to));
        out += '\n';
    }
    if (!delivered_to.empty()) {
        out += "Delivered-To: ";
        put(out, smtp::to_external(delivered_to));
        out += '\n';
    }
    return out;
}

bool has_delivered_to(std::string_view message, std::string_view address) {
    std::string recipient = smtp::to_external(address);
    constexpr std::string_view kName = "delivered-to:";
    while (!message.empty()) {
        size_t end = message.find('\n');
        std::string_view line = message.substr(0, end);
        message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
        if (trim(line).empty()) return false;   // end of the header
        if (line.size() > kName.size() && same(line.substr(0, kName.size()), kName) &&
            same(trim(line.substr(kName.size())), recipient))
            return true;
    }
    return false;
}

std::string mbox_from_line(std::string_view sender, long long seconds) {
    std::string out = "From ";
    put(out, sender.empty() ? std::string("MAILER-DAEMON") : smtp::to_external(sender));
    std::time_t when = static_cast<std::time_t>(seconds);
    std::tm local{};
    localtime_r(&when, &local);
    char text[64];
    size_t n = std::strftime(text, sizeof text, " %a %b %e %H:%M:%S %Y\n", &local);
    out.append(text, n);
    return out;
}

}   // namespace postcot::queued
