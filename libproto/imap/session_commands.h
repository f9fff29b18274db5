// Commands about the connection itself: RFC 3501 §6.1, §6.2; ID (RFC 2971), ENABLE (RFC 5161), IDLE (RFC 2177).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postcot::imap {

struct Capability {};
struct Noop {};
struct Logout {};
struct StartTls {};
struct Idle {};
struct Namespace {};   // RFC 2342

struct Authenticate {
    std::string mechanism;                // upper case
    std::optional<std::string> initial;   // RFC 4959, still base64; "=" is an empty response
};

struct Login {
    std::string user;
    std::string password;
};

struct Id {
    std::vector<std::pair<std::string, std::string>> fields;   // NIL values are empty
};

struct Enable {
    std::vector<std::string> capabilities;   // upper case
};

}   // namespace postcot::imap
