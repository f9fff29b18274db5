// RFC 1939 commands, with CAPA (RFC 2449), STLS (RFC 2595) and AUTH (RFC 5034). Pure: a line gives a command or the text of its -ERR.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "libproto/error.h"

namespace postcot::pop3 {

// RFC 2449 §4: 255 octets with CRLF; Dovecot takes longer ones, for passwords.
inline constexpr size_t kMaxCommandLine = 1024;
// RFC 5034 §4: a SASL response line.
inline constexpr size_t kMaxResponseLine = 8192;

struct Capa {};
struct Quit {};
struct Noop {};
struct Stls {};
struct Stat {};
struct Rset {};
struct User {
    std::string name;
};
struct Pass {
    std::string password;   // everything after the space: it may hold spaces
};
struct Auth {
    std::string mechanism;                // upper case; empty: list them
    std::optional<std::string> initial;   // base64
};
// Numbers of messages are kept as given; 0 and too large ones are the session's to refuse.
struct List {
    std::optional<uint32_t> number;
};
struct Uidl {
    std::optional<uint32_t> number;
};
struct Retr {
    uint32_t number = 0;
};
struct Dele {
    uint32_t number = 0;
};
struct Top {
    uint32_t number = 0;
    uint64_t lines = 0;
};

using Command = std::variant<Capa, Quit, Noop, Stls, Stat, Rset, User, Pass, Auth, List, Uidl, Retr, Dele, Top>;

// `line` is without its line end. Error texts are Dovecot's.
Expected<Command> parse_command(std::string_view line);

}   // namespace postcot::pop3
