#include "libproto/imap/lexer.h"

#include <charconv>

#include "libproto/imap/mailbox_name.h"
#include "libproto/imap/text.h"

namespace postcot::imap {

bool Lexer::eat(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
}

bool Lexer::eat_spaces() {
    bool some = false;
    while (eat(' ')) some = true;
    return some;
}

bool Lexer::eat_word(std::string_view word) {
    if (!istarts_with(rest_, word)) return false;
    if (rest_.size() > word.size() && is_atom_char(rest_[word.size()]) && rest_[word.size()] != '[') return false;
    rest_.remove_prefix(word.size());
    return true;
}

Expected<void> Lexer::space() {
    if (!eat_spaces()) return fail(0, at_end() ? "missing arguments" : "expected a space");
    return {};
}

Expected<void> Lexer::end() {
    eat_spaces();
    if (!at_end()) return fail(0, "unexpected arguments after the end of the command");
    return {};
}

Expected<void> Lexer::expect(char c) {
    if (!eat(c)) return fail(0, std::string("expected \"") + c + "\"");
    return {};
}

std::string_view Lexer::word() {
    size_t n = 0;
    while (n < rest_.size() && is_atom_char(rest_[n])) ++n;
    std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
}

Expected<std::string_view> Lexer::atom() {
    std::string_view out = word();
    if (out.empty()) return fail(0, "expected an atom");
    return out;
}

Expected<std::string> Lexer::quoted() {
    rest_.remove_prefix(1);
    std::string out;
    for (size_t i = 0; i < rest_.size(); ++i) {
        char c = rest_[i];
        if (c == '"') {
            rest_.remove_prefix(i + 1);
            return out;
        }
        if (c == '\r' || c == '\n' || c == '\0') return fail(0, "expected no CR, LF or NUL in a quoted string");
        if (c == '\\') {
            if (++i == rest_.size()) break;
            c = rest_[i];
            if (c != '"' && c != '\\') return fail(0, "expected \\\" or \\\\ after a backslash in a quoted string");
        }
        out += c;
    }
    return fail(0, "expected a closing quote");
}

Expected<std::string> Lexer::literal() {
    size_t end = rest_.find("\r\n");
    size_t size = 0;
    std::string_view header = rest_.substr(0, end);
    if (end == std::string_view::npos || !header.ends_with('}'))
        return fail(0, "expected a literal at the end of a line");
    header.remove_prefix(1);
    header.remove_suffix(1);
    if (header.ends_with('+')) header.remove_suffix(1);
    auto [stop, error] = std::from_chars(header.data(), header.data() + header.size(), size);
    if (error != std::errc{} || stop != header.data() + header.size() || size > rest_.size() - end - 2)
        return fail(0, "expected a literal of the announced size");
    std::string out(rest_.substr(end + 2, size));
    rest_.remove_prefix(end + 2 + size);
    if (out.find('\0') != std::string::npos) return fail(0, "expected no NUL in a literal");   // RFC 3501 §9: CHAR8
    return out;
}

Expected<std::string> Lexer::string() {
    if (peek() == '"') return quoted();
    if (peek() == '{') return literal();
    return fail(0, "expected a string");
}

Expected<std::string> Lexer::astring() {
    if (peek() == '"' || peek() == '{') return string();
    size_t n = 0;
    while (n < rest_.size() && is_astring_char(rest_[n])) ++n;
    if (n == 0) return fail(0, "expected an atom or a string");
    std::string out(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return out;
}

Expected<std::optional<std::string>> Lexer::nstring() {
    if (peek() == '"' || peek() == '{') {
        auto text = string();
        if (!text) return fail(text.error());
        return std::optional<std::string>(std::move(*text));
    }
    if (!eat_word("NIL")) return fail(0, "expected a string or NIL");
    return std::optional<std::string>();
}

Expected<std::string> Lexer::list_mailbox() {
    if (peek() == '"' || peek() == '{') return string();
    size_t n = 0;
    while (n < rest_.size() && is_list_char(rest_[n])) ++n;
    if (n == 0) return fail(0, "expected a mailbox pattern");
    std::string out(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return out;
}

std::string canonical_inbox(std::string name) {
    if (iequals(name, "INBOX")) return "INBOX";
    return name;
}

Expected<std::string> Lexer::mailbox() {
    auto wire = astring();
    if (!wire) return fail(wire.error());
    auto name = mailbox_name_from_wire(*wire);
    if (!name) return fail(0, "CANNOT", "Mailbox name is not valid mUTF-7");
    return canonical_inbox(std::move(*name));
}

Expected<uint32_t> Lexer::number() {
    uint32_t value = 0;
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{}) return fail(0, "expected a number below 2^32");
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
}

Expected<uint32_t> Lexer::nz_number() {
    auto value = number();
    if (!value || *value == 0) return fail(0, "expected a non-zero number below 2^32");
    return value;
}

Expected<uint64_t> Lexer::number64() {
    uint64_t value = 0;
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{} || value >> 63) return fail(0, "expected a number below 2^63");
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
}

Expected<SequenceSet> Lexer::sequence_set() {
    size_t n = 0;
    while (n < rest_.size() && ((rest_[n] >= '0' && rest_[n] <= '9') || rest_[n] == ':' || rest_[n] == ',' ||
                                rest_[n] == '*' || rest_[n] == '$'))
        ++n;
    auto set = parse_sequence_set(rest_.substr(0, n));
    if (set) rest_.remove_prefix(n);
    return set;
}

Expected<std::string> Lexer::flag() {
    bool system = eat('\\');
    std::string_view name = word();
    if (name.empty()) return fail(0, "expected a flag");
    if (!system) return std::string(name);
    for (std::string_view known : {"Answered", "Flagged", "Deleted", "Seen", "Draft", "Recent"}) {
        if (iequals(name, known)) return "\\" + std::string(known);
    }
    return "\\" + std::string(name);
}

}   // namespace postcot::imap
