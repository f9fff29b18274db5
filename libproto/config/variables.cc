#include "libproto/config/variables.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace postcot::config {

namespace {

struct Letter {
    char letter;
    const char* name;
};
constexpr Letter kLetters[] = {{'u', "user"}, {'n', "username"}, {'d', "domain"},   {'s', "service"}, {'h', "home"},
                               {'l', "lip"},  {'r', "rip"},      {'a', "lport"},    {'b', "rport"},   {'p', "pid"},
                               {'m', "mech"}, {'c', "secured"},  {'w', "password"}, {'k', "cert"},    {'i', "uid"}};

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

// 2.4: "{name | filter | filter}".
Expected<std::string> expand_pipeline(std::string_view inside, const VariableLookup& lookup) {
    size_t bar = inside.find('|');
    std::string_view name = trim(inside.substr(0, bar));
    auto value = look_up(name, lookup);
    if (!value && bar == std::string_view::npos) return fail(0, "unknown variable %{" + std::string(name) + "}");
    bool known = value.has_value();
    std::string out = value.value_or(std::string());
    while (bar != std::string_view::npos) {
        inside.remove_prefix(bar + 1);
        bar = inside.find('|');
        std::string_view filter = trim(inside.substr(0, bar));
        if (filter == "lower")
            out = lower(std::move(out));
        else if (filter == "upper")
            out = upper(std::move(out));
        else if (filter == "username")
            out = before_at(out);
        else if (filter == "domain")
            out = after_at(out);
        else if (filter == "trim")
            out = std::string(trim(out));
        else if (filter == "reverse")
            std::reverse(out.begin(), out.end());
        else if (filter.substr(0, 7) == "default") {
            std::string_view argument = trim(filter.substr(7));
            if (argument.size() >= 2 && argument.front() == '(' && argument.back() == ')')
                argument = trim(argument.substr(1, argument.size() - 2));
            if (argument.size() >= 2 && (argument.front() == '\'' || argument.front() == '"'))
                argument = argument.substr(1, argument.size() - 2);
            if (out.empty()) out = std::string(argument);
            known = true;
        } else
            return fail(0, "unsupported variable filter '" + std::string(filter) + "'");
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
    std::string out = width == 0 ? value.substr(start) : value.substr(start, width);
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
