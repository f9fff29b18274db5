// The one way to keep child processes alive: smtpd's workers, queued's manager and agents, the fronts of imapd and pop3d, authd's server, the daemons
// under postcot(8). Starts them, says why one died, starts it again with growing delay, replaces them by generations, stops them. A fork that fails is
// logged and tried again like a death.
#pragma once

#include <sys/types.h>

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "libproto/error.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"

namespace postcot {

// In the words that log readers count, with the signal's name behind. Postfix's master(8): "process NAME pid 7 killed by signal 6 (SIGABRT)", "process
// NAME pid 7 exit status 1"; Dovecot's: "service(NAME): child 7 killed with signal 6 (SIGABRT)", "service(NAME): child 7 returned error 1".
std::string describe_death(log::Dialect words, const std::string& name, pid_t pid, int status);

// How long to wait before the next start. One that lived for a while (kHealthy) starts again at once; the first quick death costs kFirst, each that
// follows at once doubles it.
class BackOff {
  public:
    static constexpr Millis kHealthy{5'000};
    static constexpr Millis kFirst{100};
    static constexpr Millis kLongest{60'000};

    Millis after(Millis lived);
    bool throttling() const { return delay_ > kFirst; }   // it died quickly more than once in a row

  private:
    Millis delay_{0};
};

// What is to be kept alive.
struct Kept {
    std::string name;
    std::function<Expected<pid_t>()> start;   // forks; called for each start, on the supervisor's loop
    // Optional: the conversation with the child (reads its channel), run beside it. Its end is waited for before the child is.
    std::function<Task<void>(pid_t)> converse;
    // Optional: the child is gone; called before the death is logged. False: it is not started again, and nothing is logged.
    std::function<bool(pid_t, int status)> ended;
    bool own_group = false;   // leads a process group: SIGKILL goes to all of it
};

class Supervisor {
  public:
    explicit Supervisor(log::Dialect words);
    ~Supervisor();   // whoever still runs is killed: stop() before
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    void keep(Kept what);
    void signal_all(int signum);   // to all children, those of old generations too
    // Reload: every child gets `signum`, ends when it is done and is not started again; what is to be kept is started anew at once.
    void renew(int signum);
    // The same without successors.
    void retire(int signum);
    // Sends `signum`, after `patience` SIGKILL, and ends when all are gone.
    Task<void> stop(int signum, Millis patience);
    bool stopping() const { return stopping_; }

  private:
    struct Child;
    Task<void> life(std::shared_ptr<Child> child);

    const log::Dialect words_;
    Scope scope_;
    std::list<std::shared_ptr<Child>> children_;   // shared with their lives, which outlast a renewal
    Event gone_;
    bool stopping_ = false;
};

}   // namespace postcot
