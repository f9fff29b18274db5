#include "libproto/imap/mailbox_name.h"

#include <cstdint>
#include <vector>

namespace postcot::imap {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

void append_utf8(std::string& out, uint32_t c) {
    auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | (c >> 6));
        put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | (c >> 12));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | (c >> 18));
        put(0x80 | ((c >> 12) & 0x3F));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    }
}

// One code point, or -1; overlong forms and surrogates are refused.
int32_t take_utf8(std::string_view& in) {
    auto byte = [&](size_t i) { return static_cast<unsigned char>(in[i]); };
    unsigned char lead = byte(0);
    size_t length = lead < 0x80                   ? 1
                    : lead >= 0xC2 && lead < 0xE0 ? 2
                    : (lead & 0xF0) == 0xE0       ? 3
                    : lead >= 0xF0 && lead < 0xF5 ? 4
                                                  : 0;
    if (length == 0 || in.size() < length) return -1;
    uint32_t c = length == 1 ? lead : lead & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return -1;
        c = (c << 6) | (byte(i) & 0x3Fu);
    }
    if ((length == 3 && (c < 0x800 || (c >= 0xD800 && c < 0xE000))) || (length == 4 && (c < 0x10000 || c > 0x10FFFF)))
        return -1;
    in.remove_prefix(length);
    return static_cast<int32_t>(c);
}

// The UTF-16BE inside one "&...-".
bool decode_shifted(std::string_view base64, std::string& out) {
    uint32_t bits = 0;
    int count = 0;
    uint32_t high = 0;
    for (char c : base64) {
        size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos) return false;
        bits = (bits << 6) | static_cast<uint32_t>(value);
        count += 6;
        if (count < 16) continue;
        count -= 16;
        uint32_t unit = (bits >> count) & 0xFFFF;
        bits &= (1u << count) - 1;
        if (high) {
            if (unit < 0xDC00 || unit > 0xDFFF) return false;
            append_utf8(out, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
            high = 0;
        } else if (unit >= 0xD800 && unit < 0xDC00) {
            high = unit;
        } else if ((unit >= 0xDC00 && unit < 0xE000) || (unit >= 0x20 && unit < 0x7F)) {
            return false;   // §5.1.3: printable US-ASCII represents itself
        } else {
            append_utf8(out, unit);
        }
    }
    return !high && count < 6 && bits == 0;
}

}   // namespace

std::optional<std::string> decode_modified_utf7(std::string_view name) {
    std::string out;
    out.reserve(name.size());
    while (!name.empty()) {
        unsigned char c = static_cast<unsigned char>(name[0]);
        if (c >= 0x80) return std::nullopt;
        if (c != '&') {
            out += name[0];
            name.remove_prefix(1);
            continue;
        }
        size_t end = name.find('-');
        if (end == std::string_view::npos) return std::nullopt;
        if (end == 1) {
            out += '&';
        } else if (!decode_shifted(name.substr(1, end - 1), out)) {
            return std::nullopt;
        }
        name.remove_prefix(end + 1);
        if (end > 1 && name.starts_with('&') && !name.starts_with("&-"))
            return std::nullopt;   // §5.1.3: no superfluous shifts
    }
    return out;
}

std::string encode_modified_utf7(std::string_view utf8) {
    std::string out;
    out.reserve(utf8.size());
    uint32_t bits = 0;
    int count = 0;
    bool shifted = false;
    auto put_unit = [&](uint32_t unit) {
        bits = (bits << 16) | unit;
        count += 16;
        while (count >= 6) {
            count -= 6;
            out += kAlphabet[(bits >> count) & 0x3F];
        }
        bits &= (1u << count) - 1;
    };
    auto unshift = [&] {
        if (!shifted) return;
        if (count > 0) out += kAlphabet[(bits << (6 - count)) & 0x3F];
        out += '-';
        bits = 0;
        count = 0;
        shifted = false;
    };
    while (!utf8.empty()) {
        int32_t decoded = take_utf8(utf8);
        if (decoded < 0) {
            utf8.remove_prefix(1);
            decoded = 0xFFFD;
        }
        uint32_t c = static_cast<uint32_t>(decoded);
        if (c >= 0x20 && c < 0x7F) {
            unshift();
            out += static_cast<char>(c);
            if (c == '&') out += '-';
            continue;
        }
        if (!shifted) out += '&';
        shifted = true;
        if (c >= 0x10000) {
            put_unit(0xD800 + ((c - 0x10000) >> 10));
            put_unit(0xDC00 + ((c - 0x10000) & 0x3FF));
        } else {
            put_unit(c);
        }
    }
    unshift();
    return out;
}

bool valid_utf8(std::string_view text) {
    while (!text.empty()) {
        if (take_utf8(text) < 0) return false;
    }
    return true;
}

std::optional<std::string> mailbox_name_from_wire(std::string_view name) {
    if (auto decoded = decode_modified_utf7(name)) return decoded;
    for (char c : name) {
        if (static_cast<unsigned char>(c) >= 0x80)
            return valid_utf8(name) ? std::optional<std::string>(name) : std::nullopt;
    }
    return std::nullopt;
}

bool matches_list_pattern(std::string_view pattern, std::string_view name, char separator) {
    // Without "**" every other character is literal (see the parser of LIST): a longer pattern cannot match.
    if (pattern.size() > 2 * name.size() + 2) return false;
    // Positions in the pattern that the name read so far can have reached; wildcards keep their position.
    std::vector<bool> reached(pattern.size() + 1), next(pattern.size() + 1);
    auto close = [&](std::vector<bool>& at) {
        for (size_t i = 0; i < pattern.size(); ++i) {
            if (at[i] && (pattern[i] == '*' || pattern[i] == '%')) at[i + 1] = true;
        }
    };
    reached[0] = true;
    close(reached);
    for (char c : name) {
        std::fill(next.begin(), next.end(), false);
        for (size_t i = 0; i < pattern.size(); ++i) {
            if (!reached[i]) continue;
            if (pattern[i] == '*' || (pattern[i] == '%' && c != separator)) {
                next[i] = true;
            } else if (pattern[i] == c && pattern[i] != '%') {
                next[i + 1] = true;
            }
        }
        close(next);
        reached.swap(next);
    }
    return reached[pattern.size()];
}

}   // namespace postcot::imap
