// What every daemon's main() shares: arguments, readiness, child processes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/loop.h"

namespace postcot {

struct DaemonArgs {
    std::string config_root = "/etc";   // -c ROOT: holds postfix/main.cf, postfix/master.cf, dovecot/dovecot.conf
    bool verbose = false;               // -v
    bool check_only =
        false;   // -t: reads the configuration as at a start, says on standard error what is wrong, and ends
};
// Understands -c ROOT, -v, -t, --version, --help; writes an error and exits with 64 on anything else.
DaemonArgs parse_daemon_args(int argc, char** argv, const char* usage);

// Logs why as fatal and exits with 78 (EX_CONFIG): the units start nothing again that has to be mended first.
[[noreturn]] void die_of_configuration(const std::string& why);

// sd_notify(3): what the supervisor and systemd wait for. No-ops without NOTIFY_SOCKET. Where systemd watches this process (WatchdogSec=), its
// Loop also says from the first notify_ready() on that it turns: a stuck one goes silent, and systemd starts the daemon again.
void notify_ready();
void notify_reloading();
void notify_stopping();
void notify_status(const std::string& status);
// For a process without a Loop, and for a child whose loop matters more than its parent's: how often to send, 0 for never, and the sending.
Millis watchdog_interval();
void notify_watchdog();

// What a forked child keeps of its parent's descriptors, besides 0 to 2.
struct ChildDescriptors {
    std::vector<int> keep;   // by number; the rest is closed
    bool keep_log = true;    // the log's, too; false: the child has no log
};

// Forks one child with a fresh Loop, which runs `body` and exits with its result. The parent must have no threads (never calls blocking()). The RAII
// objects of the caller must not be used in the child, but for the descriptors that it keeps.
Expected<pid_t> fork_child(std::function<int()> body, ChildDescriptors descriptors);
Expected<pid_t> fork_child(std::function<int()> body);   // keeps all of them

}   // namespace postcot
