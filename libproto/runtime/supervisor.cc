#include "libproto/runtime/supervisor.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "libproto/runtime/subprocess.h"

namespace postcot {

std::string describe_death(log::Dialect words, const std::string& name, pid_t pid, int status) {
    const bool postfix = words == log::Dialect::kPostfix;
    std::string who =
        postfix ? fmt::format("process {} pid {}", name, pid) : fmt::format("service({}): child {}", name, pid);
    if (WIFSIGNALED(status)) {
        const char* signal_name = ::sigabbrev_np(WTERMSIG(status));
        std::string text = fmt::format("{} killed {} signal {}", who, postfix ? "by" : "with", WTERMSIG(status));
        if (signal_name) text += fmt::format(" (SIG{})", signal_name);
        if (WTERMSIG(status) == SIGSYS) text += ": a system call that its sandbox refuses; the kernel's log names it";
        return text;
    }
    return fmt::format("{} {} {}", who, postfix ? "exit status" : "returned error", WEXITSTATUS(status));
}

Millis BackOff::after(Millis lived) {
    if (lived >= kHealthy) {
        delay_ = Millis(0);
    } else {
        delay_ = std::clamp(delay_ * 2, kFirst, kLongest);
    }
    return delay_;
}

struct Supervisor::Child {
    explicit Child(Kept kept) : what(std::move(kept)) {}
    Kept what;
    pid_t pid = 0;   // 0: does not run
    bool retired = false;
    BackOff back_off;
    CancelSource pause;   // ends the wait before a restart

    void kill(int signum) const {
        if (pid <= 0) return;
        if (signum == SIGKILL && what.own_group) ::kill(-pid, SIGKILL);
        ::kill(pid, signum);
    }
};

Supervisor::Supervisor(log::Dialect words) : words_(words) {}

Supervisor::~Supervisor() {
    for (const auto& child : children_) {
        child->kill(SIGKILL);
        if (child->pid > 0) ::waitpid(child->pid, nullptr, 0);
    }
}

void Supervisor::keep(Kept what) {
    auto child = std::make_shared<Child>(std::move(what));
    children_.push_back(child);
    scope_.spawn(life(child));
}

Task<void> Supervisor::life(std::shared_ptr<Child> child) {
    const Kept& what = child->what;
    while (!child->retired && !stopping_) {
        auto born = std::chrono::steady_clock::now();
        auto pid = what.start();
        if (!pid) {
            log::warning("{}: {}", what.name, pid.error().text);
        } else {
            child->pid = *pid;
            if (what.converse) co_await what.converse(*pid);
            auto status = co_await wait_child(*pid);
            child->pid = 0;
            gone_.set();
            const int how = status.value_or(0);
            const bool again = !what.ended || what.ended(*pid, how);
            if (child->retired || stopping_ || !again) break;
            if (how != 0) {
                const auto level = words_ == log::Dialect::kPostfix ? log::Level::kWarning : log::Level::kError;
                log::write(level, describe_death(words_, what.name, *pid, how));
            }
        }
        auto lived = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - born);
        const Millis delay = child->back_off.after(lived);
        if (child->back_off.throttling()) {
            log::warning("{}: bad command startup -- throttling: next start in {} ms", what.name, delay.count());
        }
        if (delay > Millis(0)) (void)co_await sleep_for(delay).with_cancel(child->pause);
    }
    children_.remove(child);
    gone_.set();
}

void Supervisor::signal_all(int signum) {
    for (const auto& child : children_) child->kill(signum);
}

void Supervisor::retire(int signum) {
    for (const auto& child : children_) {
        if (child->retired) continue;
        child->retired = true;
        child->kill(signum);
    }
    // A wait that ends removes its child: not from under the loop above.
    for (const auto& child : std::vector<std::shared_ptr<Child>>(children_.begin(), children_.end())) {
        if (child->retired) child->pause.cancel();
    }
}

void Supervisor::renew(int signum) {
    std::vector<Kept> anew;
    for (const auto& child : children_) {
        if (!child->retired) anew.push_back(child->what);
    }
    retire(signum);
    for (auto& what : anew) keep(std::move(what));
}

Task<void> Supervisor::stop(int signum, Millis patience) {
    stopping_ = true;
    retire(signum);
    signal_all(signum);   // those of old generations, too
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (!children_.empty()) {
        auto left = std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now());
        if (left <= Millis(0)) {
            for (const auto& child : children_) {
                if (child->pid > 0)
                    log::warning("process {} pid {} does not end: killed", child->what.name, child->pid);
            }
            signal_all(SIGKILL);
            break;
        }
        gone_.reset();
        (void)co_await gone_.wait(left);
    }
    co_await scope_.join();
}

}   // namespace postcot
