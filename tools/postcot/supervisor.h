// Runs the daemons of one or both halves: starts them in order, starts again what dies, stops and reloads them.
#pragma once

#include <string>
#include <vector>

#include "libproto/error.h"
#include "tools/postcot/settings.h"

namespace postcot::control {

struct SupervisorOptions {
    std::vector<Service> services;
    bool verbose = false;
    int report_fd = -1;   // gets "ok\n" or the reason, once the first start is decided; -1: nobody waits
};

// Returns the exit status of the process.
int supervise(Settings settings, SupervisorOptions options);

// What the commands send to a running supervisor. SIGTERM and SIGHUP mean all of it.
int stop_signal(Half half);
int reload_signal(Half half);

}   // namespace postcot::control
