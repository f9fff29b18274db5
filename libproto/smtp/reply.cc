#include "libproto/smtp/reply.h"

#include <cerrno>

#include "libproto/smtp/text.h"

namespace postcot::smtp {
namespace {

constexpr size_t kMaxReplyLine = 510;   // RFC 5321 §4.5.3.1.5, without CRLF

void append_line(std::string& out, int code, char separator, std::string_view enhanced, std::string_view text) {
    const size_t start = out.size();
    out += std::to_string(code);
    out += separator;
    if (!enhanced.empty()) {
        out += enhanced;
        out += ' ';
    }
    for (char c : text) {
        const auto u = static_cast<unsigned char>(c);
        out += (u < 0x20 && c != '\t') || u == 0x7F ? '?' : c;   // a reply is one line whatever it quotes
        if (out.size() - start >= kMaxReplyLine) break;
    }
    out += "\r\n";
}

}   // namespace

std::string Reply::text() const {
    std::string out = std::to_string(code);
    if (!enhanced.empty()) out += ' ' + enhanced;
    for (const auto& line : lines) {
        if (line.empty()) continue;
        out += ' ';
        out += line;
    }
    return out;
}

std::string format_reply(const Reply& reply) {
    std::string out;
    for (size_t i = 0; i < reply.lines.size(); ++i) {
        append_line(out, reply.code, i + 1 < reply.lines.size() ? '-' : ' ', reply.enhanced, reply.lines[i]);
    }
    if (out.empty()) append_line(out, reply.code, ' ', reply.enhanced, {});
    return out;
}

std::string format_reply(int code, std::string_view enhanced, std::string_view text) {
    std::string out;
    out.reserve(text.size() + 16);
    append_line(out, code, ' ', enhanced, text);
    return out;
}

std::string format_reply(const Error& error) { return format_reply(error.code, error.enhanced, error.text); }

std::string_view take_enhanced_status(std::string_view& text) {
    // RFC 3463 §2: class "." subject "." detail; class 2, 4 or 5; the others one to three digits.
    if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') return {};
    size_t i = 2;
    auto number = [&] {
        const size_t start = i;
        while (i < text.size() && is_digit(text[i]) && i - start < 3) ++i;
        return i > start;
    };
    if (!number() || i >= text.size() || text[i++] != '.' || !number()) return {};
    if (i < text.size() && text[i] != ' ') return {};
    auto status = text.substr(0, i);
    text.remove_prefix(i < text.size() ? i + 1 : i);
    return status;
}

Expected<bool> ReplyParser::feed(std::string_view line) {
    if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2])) {
        return fail(EPROTO, "malformed reply: " + std::string(line.substr(0, 100)));
    }
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    const char separator = line.size() > 3 ? line[3] : ' ';
    if (separator != ' ' && separator != '-') {
        return fail(EPROTO, "malformed reply: " + std::string(line.substr(0, 100)));
    }
    auto text = line.size() > 4 ? line.substr(4) : std::string_view{};
    auto status = take_enhanced_status(text);
    // RFC 2034 §4: the class must agree with the code; a status that does not is text.
    if (!status.empty() && status[0] != line[0]) {
        text = line.substr(4);
        status = {};
    }
    // RFC 5321 §4.2.1: codes of all lines must be the same; where they are not, the last one counts.
    reply_.code = code;
    reply_.enhanced = status;
    if (reply_.lines.size() < kMaxLines) reply_.lines.emplace_back(text);
    return separator == ' ';
}

Reply ReplyParser::take() {
    Reply out = std::move(reply_);
    reply_ = Reply{};
    return out;
}

}   // namespace postcot::smtp
