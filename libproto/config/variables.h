// Dovecot's %-variables in settings (mail_location, auth_username_format, passdb args ...): "%u", "%n", "%d", "%h",
// "%Lu", "%2.1n", "%{session}", and 2.4's "%{user | domain | lower}". Pure; whoever expands knows the values.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::config {

// Value of a variable by its long name: user, service, home, lip, rip, lport, rport, pid, mech, secured, session,
// local_name, password, auth_user, login_user, orig_user, uid, gid, hostname ... (2.4's names remote_ip, protocol ...
// arrive as these). nullopt: no such variable here, an error. `username` and `domain` (also auth_username ...) are
// derived from `user` where the function does not know them.
using VariableLookup = std::function<std::optional<std::string>(std::string_view name)>;

// Modifiers: L lower, U upper, T trim, R reverse, X hex of a number, D "a.b" to "a,dc=b", E escape quotes;
// [-]offset.width and width. "%%" is a percent sign. Errors name the variable or modifier that is not known.
Expected<std::string> expand_variables(std::string_view text, const VariableLookup& lookup);

// True if the text has a variable in it ("%%" alone is none).
bool has_variables(std::string_view text);

}   // namespace postcot::config
