// Value grammars of main.cf and dovecot.conf. Total: any text gives a value or false.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libproto/error.h"

namespace postcot::config {

bool parse_postfix_boolean(std::string_view text, bool& value);   // yes, no; any case
bool parse_number(std::string_view text, int64_t& value);         // decimal, may be negative
bool parse_postfix_time(std::string_view text, char default_unit,
                        std::chrono::seconds& value);   // 3600, 60m, 1h, 5d, 1w
// Split at commas and white space; a {} group stays one element, with its braces. Unbalanced: the rest is one element.
std::vector<std::string> split_list(std::string_view text);

// "inet:host:port, timeout=3s, { default_action = REJECT no }": what Postfix takes as "{ name, attribute=value ... }", with or without its outer
// braces. A value with separators in it stands, with its name, in braces of its own.
struct WithAttributes {
    std::string name;
    std::vector<std::pair<std::string, std::string>> attributes;
};
Expected<WithAttributes> parse_with_attributes(std::string_view text);

// Dovecot: yes, y, 1, no, n, 0, any case.
bool parse_dovecot_boolean(std::string_view text, bool& value);
// "30 secs", "5m", "2 mins", "1 hours", "4 weeks", "200 msecs"; 0 needs no unit, other numbers do.
bool parse_dovecot_time(std::string_view text, std::chrono::milliseconds& value);
// "10M", "64 k", "1 GB", "4096 B"; "unlimited" gives 0.
bool parse_dovecot_size(std::string_view text, uint64_t& value);
bool parse_octal(std::string_view text, int64_t& value);   // 0600; without the 0 in front it is decimal, as in Dovecot

}   // namespace postcot::config
