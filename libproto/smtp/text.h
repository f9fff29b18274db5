// Small ASCII helpers that the SMTP grammars share.
#pragma once

#include <string>
#include <string_view>

namespace postcot::smtp {

constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) { return c == ' ' || c == '\t'; }
constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

std::string lower(std::string_view text);
std::string upper(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);
std::string_view trim(std::string_view text);   // blanks and tabs, both ends
bool is_ascii(std::string_view text);
bool is_valid_utf8(std::string_view text);   // RFC 3629: no overlong forms, no surrogates
// Takes the next blank-separated word off the front of `text`; empty at the end.
std::string_view next_word(std::string_view& text);

}   // namespace postcot::smtp
