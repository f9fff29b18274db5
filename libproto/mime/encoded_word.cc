#include "libproto/mime/encoded_word.h"

#include <algorithm>

#include "libproto/mime/charset.h"
#include "libproto/mime/header.h"
#include "libproto/mime/message.h"

namespace postcot::mime {

namespace {

struct Word {
    std::string_view charset;
    char encoding;
    std::string_view text;
    size_t length;   // of the whole =?...?=
};

// An encoded word at the start of `in` (RFC 2047 §2); spaces inside are let through, as every mail reader does.
bool parse_word(std::string_view in, Word& word) {
    if (!in.starts_with("=?")) return false;
    size_t q1 = in.find('?', 2);
    if (q1 == std::string_view::npos || q1 + 2 >= in.size() || in[q1 + 2] != '?') return false;
    char encoding = in[q1 + 1];
    if (encoding != 'B' && encoding != 'b' && encoding != 'Q' && encoding != 'q') return false;
    size_t end = in.find("?=", q1 + 3);
    if (end == std::string_view::npos) return false;
    word.charset = in.substr(2, q1 - 2);
    if (size_t star = word.charset.find('*'); star != std::string_view::npos)
        word.charset = word.charset.substr(0, star);
    if (word.charset.empty()) return false;
    word.encoding = encoding;
    word.text = in.substr(q1 + 3, end - q1 - 3);
    word.length = end + 2;
    return true;
}

std::string word_bytes(const Word& word) {
    if (word.encoding == 'B' || word.encoding == 'b') return decode_transfer(word.text, "base64");
    std::string quoted(word.text);
    for (char& c : quoted)
        if (c == '_') c = ' ';
    // A trailing "=" would be a soft line break; RFC 2047 has none.
    return decode_transfer(quoted + "x", "quoted-printable");
}

}   // namespace

std::string decode_header(std::string_view value, std::string_view fallback) {
    std::string text = unfold(value);
    if (text.find("=?") == std::string::npos) {
        if (valid_utf8(text)) return text;
        auto converted = to_utf8(text, fallback);
        return converted ? *converted : scrub_utf8(text);
    }
    std::string out, pending, pending_charset;
    bool after_word = false;
    auto flush = [&] {
        if (pending.empty()) return;
        auto converted = to_utf8(pending, pending_charset);
        out += converted ? *converted : scrub_utf8(pending);
        pending.clear();
    };
    auto raw = [&](std::string_view part) {
        if (part.empty()) return;
        flush();
        if (valid_utf8(part)) {
            out += part;
        } else {
            auto converted = to_utf8(part, fallback);
            out += converted ? *converted : scrub_utf8(part);
        }
    };
    std::string_view in = text;
    while (!in.empty()) {
        size_t start = in.find("=?");
        Word word;
        if (start == std::string_view::npos) {
            raw(in);
            break;
        }
        if (!parse_word(in.substr(start), word)) {
            raw(in.substr(0, start + 2));
            in.remove_prefix(start + 2);
            after_word = false;
            continue;
        }
        std::string_view between = in.substr(0, start);
        // RFC 2047 §6.2: white space between adjacent words is not shown.
        if (!(after_word && between.find_first_not_of(" \t") == std::string_view::npos)) raw(between);
        if (!pending.empty() && !iequals(pending_charset, word.charset)) flush();
        pending_charset = std::string(word.charset);
        std::string bytes = word_bytes(word);
        if (word.encoding == 'Q' || word.encoding == 'q') bytes.pop_back();   // the guard "x"
        pending += bytes;   // joined before conversion: senders split inside a character
        in.remove_prefix(start + word.length);
        after_word = true;
    }
    flush();
    return out;
}

std::string encode_header(std::string_view utf8, size_t first_line_used) {
    bool plain = true;
    for (char c : utf8)
        if (static_cast<unsigned char>(c) >= 0x7F || static_cast<unsigned char>(c) < 0x20) plain = false;
    if (plain) return std::string(utf8);
    static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text = scrub_utf8(utf8), out;
    size_t at = 0, used = first_line_used;
    while (at < text.size()) {
        // 75 octets: 12 of "=?UTF-8?B??=", 63 -> 15 groups of 4 -> 45 octets; whole characters only.
        size_t room = used < 60 ? (75 - 12 - std::min<size_t>(used, 50)) / 4 * 3 : 45;
        size_t n = std::min(room < 6 ? size_t{6} : std::min<size_t>(room, 45), text.size() - at);
        while (n > 1 && at + n < text.size() && (static_cast<unsigned char>(text[at + n]) & 0xC0) == 0x80) --n;
        if (!out.empty()) out += "\r\n ";
        out += "=?UTF-8?B?";
        for (size_t i = 0; i < n; i += 3) {
            uint32_t bits = 0;
            for (size_t k = 0; k < 3; ++k)
                bits = (bits << 8) | (i + k < n ? static_cast<unsigned char>(text[at + i + k]) : 0U);
            for (size_t k = 0; k < 4; ++k) out += i + k > n ? '=' : kAlphabet[(bits >> (18 - 6 * k)) & 63];
        }
        out += "?=";
        at += n;
        used = 1;
    }
    return out;
}

}   // namespace postcot::mime
