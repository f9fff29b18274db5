// Hosts where the packages' units run the daemons: there `postfix reload` and its kin mean `systemctl reload postfix`.
#pragma once

#include <sys/types.h>

#include <string>

#include "tools/postcot/settings.h"

namespace postcot::control {

// Whether systemd is this host's init and has our unit for this half of /etc's configuration.
bool has_units(const Settings& settings, Half half);

// The main process of the half's first daemon (queued, authd); 0 when its unit is not active.
pid_t unit_process(Half half);

// `systemctl VERB postfix.service` or dovecot.service. Its exit status.
int systemctl(const std::string& verb, Half half);

}   // namespace postcot::control
