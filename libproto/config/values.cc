#include "libproto/config/values.h"

#include <cerrno>
#include <limits>

#include "libproto/config/logical_lines.h"
#include "libproto/config/parameter.h"
#include "libproto/config/postfix.h"

namespace postcot::config {
namespace {

bool same_word(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        char wanted = lower[i];
        if (wanted >= 'A' && wanted <= 'Z') wanted = static_cast<char>(wanted - 'A' + 'a');
        if (c != wanted) return false;
    }
    return true;
}

// Takes the digits in front; false when there are none or they overflow.
bool take_digits(std::string_view& text, int64_t& value) {
    size_t used = 0;
    value = 0;
    while (used < text.size() && text[used] >= '0' && text[used] <= '9') {
        if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
            __builtin_add_overflow(value, int64_t{text[used] - '0'}, &value)) {
            return false;
        }
        ++used;
    }
    text.remove_prefix(used);
    return used > 0;
}

}   // namespace

bool parse_postfix_boolean(std::string_view text, bool& value) {
    value = same_word(text, "yes");
    return value || same_word(text, "no");
}

bool parse_number(std::string_view text, int64_t& value) {
    bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    if (!take_digits(text, value) || !text.empty()) return false;
    if (negative) value = -value;
    return true;
}

bool parse_postfix_time(std::string_view text, char default_unit, std::chrono::seconds& value) {
    int64_t number = 0;
    if (!take_digits(text, number) || text.size() > 1) return false;
    char unit = text.empty() ? default_unit : text.front();
    if (unit >= 'A' && unit <= 'Z') unit = static_cast<char>(unit - 'A' + 'a');
    int64_t factor = 0;
    switch (unit) {
        case 's': factor = 1; break;
        case 'm': factor = 60; break;
        case 'h': factor = 3600; break;
        case 'd': factor = 86400; break;
        case 'w': factor = 604800; break;
        default: return false;
    }
    if (number > std::numeric_limits<int32_t>::max() / factor) return false;   // Postfix keeps times in an int
    value = std::chrono::seconds(number * factor);
    return true;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> out;
    auto separates = [](char c) { return is_space(c) || c == ','; };
    size_t i = 0;
    while (i < text.size()) {
        if (separates(text[i])) {
            ++i;
            continue;
        }
        size_t start = i;
        int depth = 0;
        while (i < text.size() && (depth > 0 || !separates(text[i]))) {
            if (text[i] == '{') ++depth;
            if (text[i] == '}' && depth > 0) --depth;
            ++i;
        }
        out.emplace_back(text.substr(start, i - start));
    }
    return out;
}

bool parse_dovecot_boolean(std::string_view text, bool& value) {
    value = same_word(text, "yes") || same_word(text, "y") || text == "1";
    return value || same_word(text, "no") || same_word(text, "n") || text == "0";
}

bool parse_dovecot_time(std::string_view text, std::chrono::milliseconds& value) {
    int64_t number = 0;
    if (same_word(text, "infinite")) {
        value = std::chrono::milliseconds(0);
        return true;
    }
    if (!take_digits(text, number)) return false;
    std::string_view unit = trim(text);
    static constexpr struct {
        std::string_view name;
        int64_t milliseconds;
    } kUnits[] = {{"msecs", 1},    {"mseconds", 1},    {"milliseconds", 1}, {"secs", 1000},     {"seconds", 1000},
                  {"mins", 60000}, {"minutes", 60000}, {"hours", 3600000},  {"days", 86400000}, {"weeks", 604800000}};
    if (unit.empty()) {
        value = std::chrono::milliseconds(0);
        return number == 0;
    }
    if (same_word(unit, "ms")) unit = "msecs";
    if (same_word(unit, "m")) unit = "mins";
    for (const auto& known : kUnits) {
        // Any beginning of the unit's name counts: "s", "sec", "secs".
        if (unit.size() <= known.name.size() && same_word(unit, known.name.substr(0, unit.size()))) {
            int64_t result = 0;
            if (__builtin_mul_overflow(number, known.milliseconds, &result)) return false;
            value = std::chrono::milliseconds(result);
            return true;
        }
    }
    return false;
}

bool parse_dovecot_size(std::string_view text, uint64_t& value) {
    if (same_word(text, "unlimited")) {
        value = 0;
        return true;
    }
    uint64_t number = 0;
    size_t used = 0;
    while (used < text.size() && text[used] >= '0' && text[used] <= '9') {
        if (__builtin_mul_overflow(number, uint64_t{10}, &number) ||
            __builtin_add_overflow(number, static_cast<uint64_t>(text[used] - '0'), &number)) {
            return false;
        }
        ++used;
    }
    if (used == 0) return false;
    std::string_view unit = trim(text.substr(used));
    int shift = 0;
    if (!unit.empty() && !same_word(unit, "b")) {
        static constexpr std::string_view kUnits = "kmgt";
        char first = unit.front();
        if (first >= 'A' && first <= 'Z') first = static_cast<char>(first - 'A' + 'a');
        size_t at = kUnits.find(first);
        std::string_view tail = unit.substr(1);
        if (at == std::string_view::npos || !(tail.empty() || same_word(tail, "b") || same_word(tail, "ib")))
            return false;
        shift = 10 * (static_cast<int>(at) + 1);
    }
    if (number > (std::numeric_limits<uint64_t>::max() >> shift)) return false;
    value = number << shift;
    return true;
}

Expected<WithAttributes> parse_with_attributes(std::string_view text) {
    auto inner = [](std::string_view braced) { return trim(braced.substr(1, braced.size() - 2)); };
    auto braced = [](std::string_view word) { return word.size() >= 2 && word.front() == '{' && word.back() == '}'; };
    text = trim(text);
    if (braced(text) && split_list(text).size() == 1) text = inner(text);
    WithAttributes out;
    for (const auto& word : split_list(text)) {
        if (out.name.empty()) {
            out.name = word;
            continue;
        }
        std::string_view pair = braced(word) ? inner(word) : std::string_view(word);
        const size_t equals = pair.find('=');
        const auto name = trim(pair.substr(0, equals));
        if (equals == std::string_view::npos || name.empty())
            return fail(EINVAL, "malformed option: expected name=value: \"" + word + '"');
        out.attributes.emplace_back(name, trim(pair.substr(equals + 1)));
    }
    return out;
}

bool parse_octal(std::string_view text, int64_t& value) {
    value = 0;
    if (text.empty() || text.size() > 6) return false;
    int base = text.front() == '0' ? 8 : 10;
    for (char c : text) {
        if (c < '0' || c >= '0' + base) return false;
        value = value * base + (c - '0');
    }
    return true;
}

bool is_one_of(std::string_view word, std::string_view allowed) {
    while (!allowed.empty()) {
        size_t end = allowed.find(' ');
        if (same_word(word, allowed.substr(0, end))) return true;
        allowed.remove_prefix(end == std::string_view::npos ? allowed.size() : end + 1);
    }
    return false;
}

Expected<std::chrono::seconds> parse_time(std::string_view text, char default_unit) {
    std::chrono::seconds value{};
    if (!parse_postfix_time(text, default_unit, value)) {
        return fail(0, "expected a time such as 30s, 5m, 1h, 2d or 1w, got '" + std::string(text) + "'");
    }
    return value;
}

}   // namespace postcot::config
