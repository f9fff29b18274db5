#include "libproto/mime/charset.h"

#include <unicode/uchar.h>
#include <unicode/ucnv.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <array>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "libproto/mime/header.h"

namespace postcot::mime {

namespace {

// Length of the well-formed UTF-8 sequence at `at`, or 0 (Unicode table 3-7: no overlong forms, no surrogates).
size_t sequence_length(std::string_view s, size_t at) {
    auto byte = [&](size_t i) { return at + i < s.size() ? static_cast<unsigned char>(s[at + i]) : 0U; };
    auto tail = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    unsigned a = byte(0), b = byte(1);
    if (a < 0x80) return 1;
    if (a < 0xC2) return 0;
    if (a < 0xE0) return tail(1) ? 2 : 0;
    if (a < 0xF0) {
        if (!tail(1) || !tail(2) || (a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F)) return 0;
        return 3;
    }
    if (a > 0xF4 || !tail(1) || !tail(2) || !tail(3) || (a == 0xF0 && b < 0x90) || (a == 0xF4 && b > 0x8F)) return 0;
    return 4;
}

bool is_ascii(std::string_view s) {
    size_t i = 0;
    for (; i + 8 <= s.size(); i += 8) {
        uint64_t word;
        std::memcpy(&word, s.data() + i, 8);
        if (word & 0x8080808080808080ULL) return false;
    }
    for (; i < s.size(); ++i)
        if (static_cast<unsigned char>(s[i]) & 0x80) return false;
    return true;
}

// Names mail uses for what ICU knows under another name, or knows as a smaller set than what senders put under it.
std::string icu_name(std::string_view charset) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kNames{{
        {"us-ascii", "windows-1252"},
        {"ascii", "windows-1252"},
        {"iso-8859-1", "windows-1252"},
        {"latin1", "windows-1252"},
        {"ks_c_5601-1987", "windows-949"},
        {"ksc5601", "windows-949"},
        {"ks_c_5601", "windows-949"},
        {"euc-kr", "windows-949"},
        {"cp949", "windows-949"},
        {"uhc", "windows-949"},
        {"gb2312", "gb18030"},
        {"gbk", "gb18030"},
        {"shift_jis", "windows-31j"},
        {"unicode-1-1-utf-7", "utf-7"},
    }};
    for (const auto& [from, to] : kNames)
        if (iequals(charset, from)) return std::string(to);
    return std::string(charset);
}

struct ConverterDeleter {
    void operator()(UConverter* c) const { ucnv_close(c); }
};
using Converter = std::unique_ptr<UConverter, ConverterDeleter>;

// Opening one costs more than using it; a mailbox uses few.
UConverter* converter(const std::string& name) {
    thread_local std::unordered_map<std::string, Converter> cache;
    if (auto it = cache.find(name); it != cache.end()) return it->second.get();
    if (cache.size() >= 32) cache.clear();
    UErrorCode error = U_ZERO_ERROR;
    Converter opened;
    if (!name.empty() && name.size() < 64) opened.reset(ucnv_open(name.c_str(), &error));
    if (U_FAILURE(error)) opened.reset();
    return cache.emplace(name, std::move(opened)).first->second.get();
}

std::string utf8_of(const UChar* text, int32_t length) {
    std::string out(static_cast<size_t>(length) * 3 + 1, '\0');
    int32_t written = 0;
    UErrorCode error = U_ZERO_ERROR;
    u_strToUTF8WithSub(out.data(), static_cast<int32_t>(out.size()), &written, text, length, 0xFFFD, nullptr, &error);
    out.resize(U_FAILURE(error) ? 0 : static_cast<size_t>(written));
    return out;
}

constexpr size_t kMaxConvert = 512 << 20;   // ICU counts in int32

}   // namespace

bool valid_utf8(std::string_view text) {
    if (is_ascii(text)) return true;
    for (size_t i = 0; i < text.size();) {
        size_t n = sequence_length(text, i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

std::string scrub_utf8(std::string_view text) {
    if (valid_utf8(text)) return std::string(text);
    std::string out;
    out.reserve(text.size() + 16);
    for (size_t i = 0; i < text.size();) {
        size_t n = sequence_length(text, i);
        if (n == 0) {
            out += "\xEF\xBF\xBD";
            ++i;
        } else {
            out += text.substr(i, n);
            i += n;
        }
    }
    return out;
}

bool known_charset(std::string_view charset) {
    return iequals(charset, "utf-8") || converter(icu_name(charset)) != nullptr;
}

std::optional<std::string> to_utf8(std::string_view text, std::string_view charset) {
    if (iequals(charset, "utf-8") || iequals(charset, "utf8")) return scrub_utf8(text);
    UConverter* conv = converter(icu_name(charset));
    if (!conv) return std::nullopt;
    if (text.size() > kMaxConvert) text = text.substr(0, kMaxConvert);
    ucnv_reset(conv);
    std::vector<UChar> wide(text.size() * 2 + 16);
    UErrorCode error = U_ZERO_ERROR;
    int32_t length = ucnv_toUChars(conv, wide.data(), static_cast<int32_t>(wide.size()), text.data(),
                                   static_cast<int32_t>(text.size()), &error);
    if (U_FAILURE(error)) return scrub_utf8(text);
    return utf8_of(wide.data(), length);
}

std::string casemap(std::string_view utf8) {
    if (is_ascii(utf8)) {
        std::string out(utf8);
        for (char& c : out)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
        return out;
    }
    if (utf8.size() > kMaxConvert / 8) utf8 = utf8.substr(0, kMaxConvert / 8);
    std::vector<UChar> wide(utf8.size() + 1);
    int32_t length = 0;
    UErrorCode error = U_ZERO_ERROR;
    u_strFromUTF8WithSub(wide.data(), static_cast<int32_t>(wide.size()), &length, utf8.data(),
                         static_cast<int32_t>(utf8.size()), 0xFFFD, nullptr, &error);
    if (U_FAILURE(error)) return std::string(utf8);
    std::vector<UChar> title;
    title.reserve(static_cast<size_t>(length) + 8);
    for (int32_t i = 0; i < length;) {
        UChar32 c;
        U16_NEXT(wide.data(), i, length, c);
        c = u_totitle(c);
        if (c > 0xFFFF) {
            title.push_back(U16_LEAD(c));
            title.push_back(U16_TRAIL(c));
        } else {
            title.push_back(static_cast<UChar>(c));
        }
    }
    const UNormalizer2* nfkd = unorm2_getNFKDInstance(&error);
    std::vector<UChar> decomposed(title.size() * 4 + 32);
    int32_t n = unorm2_normalize(nfkd, title.data(), static_cast<int32_t>(title.size()), decomposed.data(),
                                 static_cast<int32_t>(decomposed.size()), &error);
    if (error == U_BUFFER_OVERFLOW_ERROR) {
        error = U_ZERO_ERROR;
        decomposed.resize(static_cast<size_t>(n) + 1);
        n = unorm2_normalize(nfkd, title.data(), static_cast<int32_t>(title.size()), decomposed.data(),
                             static_cast<int32_t>(decomposed.size()), &error);
    }
    if (U_FAILURE(error)) return utf8_of(title.data(), static_cast<int32_t>(title.size()));
    return utf8_of(decomposed.data(), n);
}

// RFC 3501 §5.1.3: printable ASCII stands for itself, "&-" is "&", the rest is "&" + base64 of UTF-16BE with ',' for
// '/' + "-".
static constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

std::string utf8_to_mutf7(std::string_view name) {
    std::string out;
    for (size_t i = 0; i < name.size();) {
        auto c = static_cast<unsigned char>(name[i]);
        if (c >= 0x20 && c < 0x7F) {
            out += name[i++];
            if (c == '&') out += '-';
            continue;
        }
        out += '&';
        uint32_t bits = 0;
        int have = 0;
        auto put16 = [&](uint32_t unit) {
            bits = (bits << 16) | unit;
            have += 16;
            while (have >= 6) {
                have -= 6;
                out += kBase64[(bits >> have) & 63];
            }
            bits &= (1U << have) - 1;
        };
        while (i < name.size()) {
            c = static_cast<unsigned char>(name[i]);
            if (c >= 0x20 && c < 0x7F) break;
            size_t n = sequence_length(name, i);
            uint32_t code = 0xFFFD;
            auto at = [&](size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>(name[i + k])); };
            if (n == 1) code = at(0);
            if (n == 2) code = ((at(0) & 31) << 6) | (at(1) & 63);
            if (n == 3) code = ((at(0) & 15) << 12) | ((at(1) & 63) << 6) | (at(2) & 63);
            if (n == 4) code = ((at(0) & 7) << 18) | ((at(1) & 63) << 12) | ((at(2) & 63) << 6) | (at(3) & 63);
            i += n ? n : 1;
            if (code > 0xFFFF) {
                put16(0xD800 + ((code - 0x10000) >> 10));
                put16(0xDC00 + ((code - 0x10000) & 0x3FF));
            } else {
                put16(code);
            }
        }
        if (have > 0) out += kBase64[(bits << (6 - have)) & 63];
        out += '-';
    }
    return out;
}

Expected<std::string> mutf7_to_utf8(std::string_view name) {
    std::string out;
    for (size_t i = 0; i < name.size();) {
        auto c = static_cast<unsigned char>(name[i]);
        if (c < 0x20 || c >= 0x7F) return fail(0, "mailbox name is not valid modified UTF-7");
        if (c != '&') {
            out += name[i++];
            continue;
        }
        size_t end = name.find('-', i);
        if (end == std::string_view::npos) return fail(0, "mailbox name is not valid modified UTF-7");
        std::string_view coded = name.substr(i + 1, end - i - 1);
        i = end + 1;
        if (coded.empty()) {
            out += '&';
            continue;
        }
        std::vector<UChar> units;
        uint32_t bits = 0;
        int have = 0;
        for (char b : coded) {
            const char* p = static_cast<const char*>(std::memchr(kBase64, b, 64));
            if (!p) return fail(0, "mailbox name is not valid modified UTF-7");
            bits = (bits << 6) | static_cast<uint32_t>(p - kBase64);
            have += 6;
            if (have >= 16) {
                have -= 16;
                units.push_back(static_cast<UChar>((bits >> have) & 0xFFFF));
                bits &= (1U << have) - 1;
            }
        }
        if (have >= 6 || bits != 0) return fail(0, "mailbox name is not valid modified UTF-7");
        for (size_t k = 0; k < units.size(); ++k) {
            bool pair = U16_IS_LEAD(units[k]) && k + 1 < units.size() && U16_IS_TRAIL(units[k + 1]);
            if (U16_IS_SURROGATE(units[k]) && !pair) return fail(0, "mailbox name is not valid modified UTF-7");
            if (pair) ++k;
        }
        out += utf8_of(units.data(), static_cast<int32_t>(units.size()));
    }
    return out;
}

}   // namespace postcot::mime
