#include "libproto/config/variables.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>
#include <vector>

namespace postcot::config {

namespace {

struct Letter {
    char letter;
    const char* name;
};
constexpr Letter kLetters[] = {
    {'u', "user"},     {'n', "username"}, {'d', "domain"}, {'s', "service"},     {'h', "home"},     {'l', "lip"},
    {'r', "rip"},      {'a', "lport"},    {'b', "rport"},  {'p', "pid"},         {'m', "mech"},     {'c', "secured"},
    {'w', "password"}, {'k', "cert"},     {'i', "uid"},    {'v', "uidvalidity"}, {'f', "filename"}, {'g', "guid"}};

struct Alias {
    std::string_view name, old_name;
};
constexpr Alias kAliases[] = {
    {"local_ip", "lip"},           {"remote_ip", "rip"},  {"local_port", "lport"}, {"remote_port", "rport"},
    {"protocol", "service"},       {"mechanism", "mech"}, {"process:pid", "pid"},  {"system:hostname", "hostname"},
    {"original_user", "orig_user"}};

std::string before_at(const std::string& user) { return user.substr(0, user.find('@')); }
std::string after_at(const std::string& user) {
    auto at = user.find('@');
    return at == std::string::npos ? std::string() : user.substr(at + 1);
}

std::optional<std::string> look_up(std::string_view name, const VariableLookup& lookup) {
    for (const auto& alias : kAliases) {
        if (alias.name == name) name = alias.old_name;
    }
    if (name.starts_with("env:")) {
        const char* value = getenv(std::string(name.substr(4)).c_str());
        return std::string(value ? value : "");
    }
    if (auto value = lookup(name)) return value;
    // username, auth_username, login_username, orig_username ... come from the user they belong to.
    auto ends_with = [&](std::string_view suffix) {
        return name.size() >= suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
    };
    if (ends_with("username")) {
        auto user = lookup(std::string(name.substr(0, name.size() - 8)) + "user");
        if (user) return before_at(*user);
    } else if (ends_with("domain")) {
        auto user = lookup(std::string(name.substr(0, name.size() - 6)) + "user");
        if (user) return after_at(*user);
    }
    return std::nullopt;
}

std::string lower(std::string text) {
    for (auto& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return text;
}
std::string upper(std::string text) {
    for (auto& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return text;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::string dc(const std::string& domain) {
    std::string out;
    for (char c : domain) {
        if (c == '.')
            out += ",dc=";
        else
            out += c;
    }
    return out;
}

std::string escape_quotes(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '"' || c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string hex_of_number(const std::string& text) {
    unsigned long long number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    char buffer[32];
    auto end = std::to_chars(buffer, buffer + sizeof buffer, number, 16).ptr;
    return std::string(buffer, end);
}

Expected<std::string> modify(char modifier, std::string value) {
    switch (modifier) {
        case 'L': return lower(std::move(value));
        case 'U': return upper(std::move(value));
        case 'T': return std::string(trim(value));
        case 'R': std::reverse(value.begin(), value.end()); return value;
        case 'X': return hex_of_number(value);
        case 'D': return dc(value);
        case 'E': return escape_quotes(value);
        default: return fail(0, std::string("unsupported variable modifier %") + modifier);
    }
}

// A pipeline's next word, up to a '|' that is in no quotes and no parentheses' string.
std::string_view next_word(std::string_view& rest, bool& more) {
    char quote = 0;
    size_t i = 0;
    for (; i < rest.size(); ++i) {
        if (quote != 0)
            quote = rest[i] == quote ? '\0' : quote;
        else if (rest[i] == '\'' || rest[i] == '"')
            quote = rest[i];
        else if (rest[i] == '|')
            break;
    }
    std::string_view word = trim(rest.substr(0, i));
    more = i < rest.size();
    rest.remove_prefix(more ? i + 1 : i);
    return word;
}

struct Filter {
    std::string_view name;
    std::vector<std::string> arguments;
    long number(size_t at, long otherwise) const {
        if (at >= arguments.size()) return otherwise;
        long value = otherwise;
        const std::string& text = arguments[at];
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    }
};

// name, name(), name(1, 'text')
Filter parse_filter(std::string_view word) {
    Filter filter;
    size_t open = word.find('(');
    filter.name = trim(word.substr(0, open));
    if (open == std::string_view::npos) {   // default 'x'
        size_t space = word.find(' ');
        if (space == std::string_view::npos) return filter;
        filter.name = word.substr(0, space);
        word = trim(word.substr(space));
    } else {
        word = word.substr(open + 1);
        if (word.ends_with(')')) word.remove_suffix(1);
    }
    std::string argument;
    bool any = false;
    char quote = 0;
    for (char c : word) {
        if (quote != 0 && c == quote) {
            quote = 0;
        } else if (quote != 0) {
            argument += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            any = true;
        } else if (c == ',') {
            filter.arguments.push_back(std::exchange(argument, {}));
            any = false;
        } else if (c != ' ') {
            argument += c;
        }
    }
    if (any || !argument.empty()) filter.arguments.push_back(std::move(argument));
    return filter;
}

constexpr unsigned long kMaxWidth = 4096;

// 2.4's hex(8): at least so many digits, and the last ones where there are more; hex(-8) fills on the right.
std::string fit(std::string text, long width, char fill) {
    size_t wanted = std::min(kMaxWidth, static_cast<unsigned long>(width < 0 ? -width : width));
    if (wanted == 0) return text;
    if (text.size() > wanted) return width < 0 ? text.substr(0, wanted) : text.substr(text.size() - wanted);
    text.insert(width < 0 ? text.size() : 0, wanted - text.size(), fill);
    return text;
}

std::string bytes_to_hex(const std::string& bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

std::string substr_of(const std::string& text, long offset, long length) {
    long size = static_cast<long>(text.size());
    if (offset < 0) offset = std::max(0L, size + offset);
    if (offset >= size) return {};
    long end = length < 0 ? size + length : std::min(size, offset + length);
    return end <= offset ? std::string() : text.substr(static_cast<size_t>(offset), static_cast<size_t>(end - offset));
}

// One of 2.4's filters on `value`; false when it is not here.
bool run_filter(const Filter& filter, std::string& value) {
    std::string_view name = filter.name;
    if (name == "lower")
        value = lower(std::move(value));
    else if (name == "upper")
        value = upper(std::move(value));
    else if (name == "username")
        value = before_at(value);
    else if (name == "domain")
        value = after_at(value);
    else if (name == "domain_last")
        value = value.rfind('@') == std::string::npos ? std::string() : value.substr(value.rfind('@') + 1);
    else if (name == "trim")
        value = std::string(trim(value));
    else if (name == "reverse")
        std::reverse(value.begin(), value.end());
    else if (name == "ldap_dn")
        value = dc(value);
    else if (name == "hex")
        value = fit(hex_of_number(value), filter.number(0, 0), '0');
    else if (name == "hexlify")
        value = fit(bytes_to_hex(value), filter.number(0, 0), '0');
    else if (name == "substr" && !filter.arguments.empty())
        value = substr_of(value, filter.number(0, 0), filter.number(1, static_cast<long>(value.size())));
    else
        return false;
    return true;
}

// 2.4: "{name | filter | filter}".
Expected<std::string> expand_pipeline(std::string_view inside, const VariableLookup& lookup) {
    bool more = false;
    std::string_view name = next_word(inside, more);
    auto value = look_up(name, lookup);
    bool known = value.has_value();
    std::string out = value.value_or(std::string());
    while (more) {
        std::string_view word = next_word(inside, more);
        Filter filter = parse_filter(word);
        if (filter.name == "default") {
            if (out.empty() && !filter.arguments.empty()) out = filter.arguments[0];
            known = true;
        } else if (!run_filter(filter, out)) {
            return fail(0, "unsupported variable filter '" + std::string(word) + "'");
        }
    }
    if (!known) return fail(0, "unknown variable %{" + std::string(name) + "}");
    return out;
}

// Dovecot counts a negative offset from the end; width 0 is "all".
std::string cut(const std::string& value, long offset, unsigned long width, bool zero_pad) {
    size_t start = 0;
    if (offset < 0)
        start = static_cast<size_t>(-offset) < value.size() ? value.size() - static_cast<size_t>(-offset) : 0;
    else
        start = std::min(value.size(), static_cast<size_t>(offset));
    // Dovecot: what is filled with zeros is never cut ("%03n" of "ann.lee" is all of it).
    std::string out = width == 0 || zero_pad ? value.substr(start) : value.substr(start, width);
    if (zero_pad && out.size() < width) out.insert(0, width - out.size(), '0');
    return out;
}

}   // namespace

bool has_variables(std::string_view text) {
    for (size_t i = 0; i + 1 < text.size(); ++i) {
        if (text[i] != '%') continue;
        if (text[i + 1] != '%') return true;
        ++i;
    }
    return false;
}

Expected<std::string> expand_variables(std::string_view text, const VariableLookup& lookup) {
    std::string out;
    size_t i = 0;
    while (i < text.size()) {
        if (text[i] != '%') {
            out += text[i++];
            continue;
        }
        if (++i == text.size()) {
            out += '%';
            break;
        }
        if (text[i] == '%') {
            out += '%';
            ++i;
            continue;
        }
        // [-]digits[.digits]
        long offset = 0;
        unsigned long width = 0;
        bool zero_pad = false;
        bool negative = text[i] == '-';
        if (negative) ++i;
        auto number = [&]() -> unsigned long {
            unsigned long n = 0;
            while (i < text.size() && text[i] >= '0' && text[i] <= '9' && n < 100000)
                n = n * 10 + static_cast<unsigned long>(text[i++] - '0');
            return n;
        };
        size_t digits_at = i;
        unsigned long first = number();
        bool had_digits = i > digits_at;
        if (i < text.size() && text[i] == '.') {
            ++i;
            offset = negative ? -static_cast<long>(first) : static_cast<long>(first);
            zero_pad = i < text.size() && text[i] == '0';
            width = number();
        } else if (had_digits) {
            zero_pad = text[digits_at] == '0';
            width = first;
        } else if (negative) {
            return fail(0, "expected a number after %-");
        }
        std::string modifiers;
        while (i < text.size() && std::string_view("LUTRXDEHNMP").find(text[i]) != std::string_view::npos)
            modifiers += text[i++];
        if (i == text.size()) return fail(0, "a variable name is missing after '%" + modifiers + "'");
        std::string value;
        if (text[i] == '{') {
            size_t end = text.find('}', i);
            if (end == std::string_view::npos) return fail(0, "missing '}' after %{");
            auto expanded = expand_pipeline(text.substr(i + 1, end - i - 1), lookup);
            if (!expanded) return expanded;
            value = std::move(*expanded);
            i = end + 1;
        } else {
            const char* name = nullptr;
            for (const auto& letter : kLetters) {
                if (letter.letter == text[i]) name = letter.name;
            }
            std::optional<std::string> found;
            if (name) found = look_up(name, lookup);
            if (!found) return fail(0, std::string("unknown variable %") + text[i]);
            value = std::move(*found);
            ++i;
        }
        for (char modifier : modifiers) {
            auto modified = modify(modifier, std::move(value));
            if (!modified) return modified;
            value = std::move(*modified);
        }
        out += cut(value, offset, width, zero_pad);
    }
    return out;
}

}   // namespace postcot::config
