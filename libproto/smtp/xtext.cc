#include "libproto/smtp/xtext.h"

#include <cstdint>

#include "libproto/smtp/text.h"

namespace postcot::smtp {
namespace {

int hex_digit(char c) {   // RFC 3461 §4: upper case; lower is accepted
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

void append_utf8(std::string& out, uint32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xC0 | (c >> 6));
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xE0 | (c >> 12));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (c >> 18));
        out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    }
}

}   // namespace

std::string encode_xtext(std::string_view text) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (u > 32 && u < 127 && c != '+' && c != '=') {
            out += c;
        } else {
            out += '+';
            out += kHex[u >> 4];
            out += kHex[u & 15];
        }
    }
    return out;
}

Expected<std::string> decode_xtext(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const auto u = static_cast<unsigned char>(text[i]);
        if (text[i] == '+') {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return fail(501, "5.5.4", "bad xtext");
            out += static_cast<char>(high * 16 + low);
            i += 2;
        } else if (u > 32 && u < 127 && text[i] != '=') {
            out += text[i];
        } else {
            return fail(501, "5.5.4", "bad xtext");
        }
    }
    return out;
}

Expected<std::string> decode_utf8_xtext(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto u = static_cast<unsigned char>(text[i]);
        if (text.substr(i, 3) == "\\x{") {
            const size_t close = text.find('}', i);
            const auto digits =
                close == std::string_view::npos ? std::string_view{} : text.substr(i + 3, close - i - 3);
            uint32_t c = 0;
            for (char d : digits) {
                if (hex_digit(d) < 0) return fail(501, "5.5.4", "bad utf-8 xtext");
                c = c * 16 + static_cast<uint32_t>(hex_digit(d));
            }
            if (digits.size() < 2 || digits.size() > 6 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) || c < 0x10) {
                return fail(501, "5.5.4", "bad utf-8 xtext");
            }
            append_utf8(out, c);
            i = close;
        } else if (u > 32 && u != 127 && text[i] != '+' && text[i] != '=' && text[i] != '\\') {
            out += text[i];
        } else {
            return fail(501, "5.5.4", "bad utf-8 xtext");
        }
    }
    if (!is_valid_utf8(out)) return fail(501, "5.5.4", "bad utf-8 xtext");
    return out;
}

}   // namespace postcot::smtp
