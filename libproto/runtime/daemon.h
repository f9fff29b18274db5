// What every daemon's main() shares: arguments, readiness, worker processes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "libproto/error.h"
#include "libproto/runtime/loop.h"

namespace postcot {

struct DaemonArgs {
    std::string config_root = "/etc";   // -c ROOT: holds postfix/main.cf, postfix/master.cf, dovecot/dovecot.conf
    bool verbose = false;               // -v
    bool check_only = false;            // -t: reads the configuration as at a start, says on standard error what is wrong, and ends
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

// A fixed set of forked worker processes. The parent must have no threads (never calls blocking()) when it forks. Each child runs `body(index)` on a
// Loop of its own and exits with its result; a child that dies is logged as Postfix's master does ("warning: process ... pid ... killed by signal")
// and started again, with back-off after quick deaths.
class Workers {
  public:
    Workers(std::string name, int count, std::function<int(int index)> body);
    ~Workers();   // SIGTERM to all; waits
    void start();
    void signal_all(int signum);
    // Reload: starts a new generation. The old one gets SIGHUP: it stops accepting and ends with its last session.
    void renew();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Forks one child with a fresh Loop; everything but `keep` and 0-2 that is FD_CLOEXEC stays open: the caller's RAII objects must not be used in it.
Expected<pid_t> fork_child(std::function<int()> body);

}   // namespace postcot
