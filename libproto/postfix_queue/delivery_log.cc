#include "libproto/postfix_queue/delivery_log.h"

#include <algorithm>
#include <charconv>

namespace postcot::postfix_queue {

namespace {

uint64_t number(std::string_view text) {
    uint64_t out = 0;
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
    return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? out : 0;
}

std::string printable(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, '?');
    return out;
}

struct Parts {
    std::string diagnostic_type, diagnostic_text, mta_type, mta_name;
};

void take(DeliveryLogEntry& entry, Parts& parts, std::string_view name, std::string value) {
    if (name == "recipient" && !value.empty()) entry.recipient = std::move(value);
    if (name == "original_recipient") entry.original = std::move(value);
    if (name == "offset") entry.offset = number(value);
    if (name == "dsn_orig_rcpt") entry.orcpt = std::move(value);
    if (name == "notify_flags") entry.notify = static_cast<uint8_t>(number(value) & 15);
    if (name == "status") entry.status = std::move(value);
    if (name == "action") entry.action = std::move(value);
    if (name == "reason") entry.reason = std::move(value);
    if (name == "diag_type") parts.diagnostic_type = std::move(value);
    if (name == "diag_text") parts.diagnostic_text = std::move(value);
    if (name == "mta_type") parts.mta_type = std::move(value);
    if (name == "mta_mname") parts.mta_name = std::move(value);
}

std::string joined(const std::string& type, const std::string& text) {
    return text.empty() ? std::string() : (type.empty() ? "x-unknown" : type) + "; " + text;
}

void put(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += name;
    out += '=';
    out += printable(value);
    out += '\n';
}

void put_typed(std::string& out, std::string_view type_name, std::string_view text_name, std::string_view value) {
    const size_t semicolon = value.find("; ");
    if (semicolon == std::string_view::npos) return;
    put(out, type_name, value.substr(0, semicolon));
    put(out, text_name, value.substr(semicolon + 2));
}

}   // namespace

std::vector<DeliveryLogEntry> read_delivery_log(std::string_view text) {
    std::vector<DeliveryLogEntry> out;
    DeliveryLogEntry entry;
    Parts parts;
    auto finish = [&] {
        if (!entry.recipient.empty()) {
            entry.diagnostic = joined(parts.diagnostic_type, parts.diagnostic_text);
            entry.remote_mta = joined(parts.mta_type, parts.mta_name);
            out.push_back(std::move(entry));
        }
        entry = {};
        parts = {};
    };
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string line = printable(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) {
            finish();
        } else if (line[0] == '<') {
            const size_t close = line.find(">: ");
            if (close == std::string::npos) continue;
            if (entry.recipient.empty()) entry.recipient = line.substr(1, close - 1);
            if (entry.reason.empty()) entry.reason = line.substr(close + 3);
        } else if (const size_t equals = line.find('='); equals != std::string::npos) {
            size_t name_end = equals;
            while (name_end > 0 && line[name_end - 1] == ' ') --name_end;
            const size_t value = std::min(line.find_first_not_of(' ', equals + 1), line.size());
            take(entry, parts, std::string_view(line).substr(0, name_end), line.substr(value));
        }
    }
    finish();
    return out;
}

std::string compose_delivery_log(const std::vector<DeliveryLogEntry>& entries) {
    std::string out;
    for (const auto& entry : entries) {
        out += "\n<" + printable(entry.recipient) + ">: " + printable(entry.reason) + "\n";
        put(out, "recipient", entry.recipient);
        if (entry.original != entry.recipient) put(out, "original_recipient", entry.original);
        if (entry.offset) put(out, "offset", std::to_string(entry.offset));
        put(out, "dsn_orig_rcpt", entry.orcpt);
        if (entry.notify) put(out, "notify_flags", std::to_string(entry.notify));
        put(out, "status", entry.status);
        put(out, "action", entry.action);
        put_typed(out, "diag_type", "diag_text", entry.diagnostic);
        put_typed(out, "mta_type", "mta_mname", entry.remote_mta);
        put(out, "reason", entry.reason);
        out += "\n";
    }
    return out;
}

}   // namespace postcot::postfix_queue
