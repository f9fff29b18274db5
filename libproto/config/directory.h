// Where the configuration is.
#pragma once

#include <string>

namespace postcot::config {

// The folder of main.cf for Postfix's own commands: `option` (-c DIR), else $MAIL_CONFIG, else /etc/postfix. A configuration root (whose postfix/ holds
// main.cf, as Postcot's daemons take it) is accepted in its place. `explicitly` tells whether -c or $MAIL_CONFIG named it.
std::string postfix_directory(const char* option, bool* explicitly = nullptr);
// Likewise dovecot.conf's folder: `option` or /etc/dovecot.
std::string dovecot_directory(const char* option);

}   // namespace postcot::config
