// The one table of what Postfix 3.7 and Dovecot 2.3 can be told: name, type, default and what Postcot does with it.
// Settings' defaults, type checks, `postconf -d`, `doveconf -a`, the start-up warnings and the manual's tables all come
// from it. One parameter is one line of postfix_parameters.cc or dovecot_settings.cc: to honour one more, change its
// last column there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::config {

enum class Kind : unsigned char {
    kText,
    kRaw,       // a text that is expanded only when it is used ($home, $user ...)
    kBoolean,   // yes, no
    kNumber,    // decimal, not negative
    kTime,      // Postfix: 30s 5m 2h 1d 1w; Dovecot: 30 secs, 5 mins, 200 msecs
    kSize,      // Dovecot: 64 k, 10 M
    kOctal,     // Dovecot: file modes
};

enum class Status : unsigned char {
    kHonoured,
    kHarmless,      // has no counterpart here, and mail behaves the same without it
    kUnsupported,   // setting it to anything but its default is reported by name
};

struct Parameter {
    std::string_view name;
    Kind kind;
    std::string_view default_value;
    Status status;
};

struct ParameterTable {
    const Parameter* first;
    size_t count;
    const Parameter* begin() const { return first; }
    const Parameter* end() const { return first + count; }
};

// In the order of `postconf -d`. Values that depend on the host (myhostname, mynetworks ...) have an empty default
// here: host_default() computes them.
ParameterTable postfix_parameters();
// nullptr when Postfix has no such parameter. Old names that only live on in defaults ("virtual_maps") are known too.
const Parameter* find_postfix_parameter(std::string_view name);
// The parameter that <transport>_<suffix> takes its default from ("default_destination_recipient_limit"); empty when
// transports have no such parameter.
std::string transport_default_name(std::string_view transport, std::string_view suffix);
// Suffixes of per-transport parameters, in alphabetical order; `pipe` transports have "time_limit" as well.
struct TransportSuffix {
    std::string_view suffix;
    Kind kind;
    std::string_view default_value;
    Status status;
};
struct TransportSuffixes {
    const TransportSuffix* first;
    size_t count;
    const TransportSuffix* begin() const { return first; }
    const TransportSuffix* end() const { return first + count; }
};
TransportSuffixes transport_suffixes();

// The words a Postfix parameter may have for value ("class subnet host"); empty when it takes any text.
std::string_view allowed_words(std::string_view name);
// Is `word` one of `allowed`? Any case.
bool is_one_of(std::string_view word, std::string_view allowed);

// What a value of this kind must look like, for error texts: "a number".
std::string_view kind_name(Kind kind);

}   // namespace postcot::config
