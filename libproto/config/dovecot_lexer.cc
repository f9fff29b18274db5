#include "libproto/config/dovecot_lexer.h"

#include <cerrno>

#include "libproto/config/logical_lines.h"

namespace postcot::config {
namespace {

// The next word; a quoted one is returned with its quotes.
std::string_view take_word(std::string_view& rest, std::string_view ends) {
    rest = trim(rest);
    size_t i = 0;
    if (!rest.empty() && (rest.front() == '"' || rest.front() == '\'')) {
        char quote = rest.front();
        for (i = 1; i < rest.size() && rest[i] != quote; ++i) {
            if (rest[i] == '\\') ++i;
        }
        i = i < rest.size() ? i + 1 : rest.size();
    } else {
        while (i < rest.size() && !is_space(rest[i]) && ends.find(rest[i]) == std::string_view::npos) ++i;
    }
    std::string_view word = rest.substr(0, i);
    rest = trim(rest.substr(i));
    return word;
}

}   // namespace

std::string unquote_dovecot(std::string_view text) {
    if (text.size() < 2 || (text.front() != '"' && text.front() != '\'') || text.back() != text.front())
        return std::string(text);
    char quote = text.front();
    std::string out;
    for (size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && i + 2 < text.size()) {
            out += text[++i];
        } else if (text[i] == quote) {
            return std::string(text);   // "a" and "b": not one quoted text
        } else {
            out += text[i];
        }
    }
    if (text[text.size() - 2] == '\\' && text.size() == 3) return std::string(text);
    return out;
}

// space or '='.
std::string_view without_dovecot_comment(std::string_view line, bool& doubtful) {
    char quote = 0;
    for (size_t i = 0; i < line.size(); ++i) {
        char c = line[i];
        if (quote) {
            if (c == '\\' && i + 1 < line.size()) {
                ++i;
            } else if (c == quote) {
                quote = 0;
            }
        } else if ((c == '"' || c == '\'') && (i == 0 || is_space(line[i - 1]) || line[i - 1] == '=')) {
            quote = c;
        } else if (c == '#') {
            doubtful = i > 0 && !is_space(line[i - 1]);
            return line.substr(0, i);
        }
    }
    return line;
}

Expected<DovecotLine> read_dovecot_line(std::string_view raw) {
    DovecotLine out;
    std::string_view line = trim(raw);
    if (line.empty()) return out;

    if (line.front() == '!') {
        std::string_view rest = line;
        std::string_view word = take_word(rest, "");
        if (word == "!include") {
            out.what = DovecotLine::What::kInclude;
        } else if (word == "!include_try") {
            out.what = DovecotLine::What::kIncludeTry;
        } else {
            return fail(EINVAL, "Unknown directive: " + std::string(word) + " (expected !include or !include_try)");
        }
        out.value = unquote_dovecot(rest);
        if (out.value.empty()) return fail(EINVAL, "expected a file name after " + std::string(word));
        return out;
    }
    if (line.front() == '}') {
        if (line.size() > 1) return fail(EINVAL, "Garbage after '}'");
        out.what = DovecotLine::What::kClose;
        return out;
    }

    std::string_view rest = line;
    std::string_view key = take_word(rest, "={");
    if (key.empty()) return fail(EINVAL, "expected a setting name before '" + std::string(1, rest.front()) + "'");
    out.key = unquote_dovecot(key);
    if (!rest.empty() && rest.front() == '=') {
        out.what = DovecotLine::What::kSetting;
        std::string_view value = trim(rest.substr(1));
        if (!value.empty() && value.front() == '<') {
            out.from_file = true;
            out.value = std::string(trim(value.substr(1)));
            return out;
        }
        out.value = unquote_dovecot(value);
        out.literal = value.size() >= 2 && value.front() == '\'' && out.value.size() != value.size();
        return out;
    }
    std::string_view name;
    if (!rest.empty() && rest.front() != '{') name = take_word(rest, "{");
    if (out.key == "group" && name.starts_with('@') && !rest.empty() && rest.front() != '{') {   // 2.4: group @label name {
        out.value = std::string(name) + ' ' + unquote_dovecot(take_word(rest, "{"));
        name = {};
    }
    if (rest.empty() || rest.front() != '{') return fail(EINVAL, "Expecting '=' or '{' after \"" + out.key + '"');
    if (rest.size() > 1) return fail(EINVAL, "Garbage after '{'");
    out.what = DovecotLine::What::kOpen;
    if (!name.empty()) out.value = unquote_dovecot(name);
    return out;
}

}   // namespace postcot::config
