// ASCII case folding and the character classes of RFC 3501 §9.
#pragma once

#include <string>
#include <string_view>

namespace postcot::imap {

constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

constexpr bool iequals(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (upper(a[i]) != upper(b[i])) return false;
    }
    return true;
}
constexpr bool istarts_with(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() && iequals(text.substr(0, prefix.size()), prefix);
}
inline std::string to_upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = upper(c);
    return out;
}

// ATOM-CHAR: any CHAR except atom-specials ( ) { SP CTL % * " \ ]
constexpr bool is_atom_char(char c) {
    return c > 0x20 && c < 0x7F && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' && c != '"' && c != '\\' &&
           c != ']';
}
// ASTRING-CHAR = ATOM-CHAR / resp-specials. 8-bit octets stand in strings only.
constexpr bool is_astring_char(char c) { return is_atom_char(c) || c == ']'; }
constexpr bool is_list_char(char c) { return is_astring_char(c) || c == '%' || c == '*'; }
// tag = 1*<any ASTRING-CHAR except "+">
constexpr bool is_tag_char(char c) { return (is_atom_char(c) || c == ']') && c != '+'; }

}   // namespace postcot::imap
