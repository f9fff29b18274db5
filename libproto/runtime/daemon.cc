#include "libproto/runtime/daemon.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/reactor.h"

namespace postcot {

namespace {

constexpr int kUsageError = 64;           // EX_USAGE of sysexits(3)
constexpr int kConfigurationError = 78;   // EX_CONFIG

// A connection is a descriptor; the soft limit of 1024 is for programs that use select(2).
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 1 << 20);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}   // namespace

DaemonArgs parse_daemon_args(int argc, char** argv, const char* usage) {
    DaemonArgs args;
    for (int i = 1; i < argc; ++i) {
        std::string_view argument = argv[i];
        if (argument == "-c" && i + 1 < argc) {
            args.config_root = argv[++i];
        } else if (argument == "-v" || argument == "--verbose") {
            args.verbose = true;
        } else if (argument == "-t") {
            args.check_only = true;
        } else if (argument == "--version") {
            std::printf("postcot %s\n", POSTCOT_VERSION);
            std::exit(0);
        } else if (argument == "--help" || argument == "-h") {
            std::printf("%s\n", usage);
            std::exit(0);
        } else {
            std::fprintf(stderr, "unexpected argument: %s\n%s\n", argv[i], usage);
            std::exit(kUsageError);
        }
    }
    while (args.config_root.size() > 1 && args.config_root.back() == '/') args.config_root.pop_back();
    raise_descriptor_limit();
    return args;
}

void die_of_configuration(const std::string& why) {
    log::write(log::Level::kFatal, why);
    std::fflush(nullptr);
    std::_Exit(kConfigurationError);
}

Millis watchdog_interval() {
    const char* text = std::getenv("WATCHDOG_USEC");
    if (!text) return Millis(0);
    char* end = nullptr;
    const unsigned long long usec = std::strtoull(text, &end, 10);
    if (end == text || *end != '\0' || usec == 0) return Millis(0);
    return std::max(Millis(1), Millis(usec / 2000));   // half of it, as sd_watchdog_enabled(3) recommends
}

void notify_watchdog() { ::sd_notify(0, "WATCHDOG=1"); }

void notify_ready() {
    ::sd_notify(0, "READY=1");
    static pid_t watched = -1;
    if (!detail::Reactor::current_or_null() || watched == ::getpid() || ::sd_watchdog_enabled(0, nullptr) <= 0) return;
    watched = ::getpid();
    Loop::current().every(watchdog_interval(), notify_watchdog);
}
void notify_reloading() { ::sd_notify(0, "RELOADING=1"); }
void notify_stopping() { ::sd_notify(0, "STOPPING=1"); }
void notify_status(const std::string& status) { ::sd_notify(0, ("STATUS=" + status).c_str()); }

Expected<pid_t> fork_child(std::function<int()> body) {
    std::fflush(nullptr);
    pid_t parent = ::getpid();
    // A signal for the child must not run the handler that it inherits, which tells the parent: it waits until reset_after_fork().
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = ::fork();
    int error = errno;
    if (pid != 0) sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return fail_errno(error, "fork");
    if (pid > 0) return pid;

    detail::reset_after_fork();
    // No orphans: a child ends with its parent. enter_sandbox() keeps this over the change of uid.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    int status = 70;   // EX_SOFTWARE
    try {
        auto loop = std::make_unique<Loop>();
        status = body();
        // The loop and everything else is left to the kernel: destructors of the parent's objects must not run here.
        static_cast<void>(loop.release());
    } catch (const std::exception& bug) {
        log::write(log::Level::kPanic, std::string("unhandled exception: ") + bug.what());
    } catch (...) {
        log::write(log::Level::kPanic, "unhandled exception");
    }
    std::fflush(nullptr);
    ::_exit(status);
}

// ---- workers

struct Workers::Impl {
    static constexpr uint64_t kHealthyMillis = 10 * 1000;   // a worker that lived so long starts again at once
    static constexpr uint64_t kMaxDelayMillis = 60 * 1000;

    struct Worker final : detail::IoHandler {
        explicit Worker(Impl& workers) : owner(workers) {}
        void on_io(uint32_t) override { owner.check(*this); }
        Impl& owner;
        pid_t pid = -1;
        int index = 0;
        bool retired = false;   // of an old generation: not started again
        UniqueFd watched;
        uint64_t started = 0;
        uint64_t delay = 0;
    };
    struct Restart final : detail::TimerNode {
        Restart(Impl& impl, Worker& to_start) : owner(impl), worker(to_start) {}
        void on_timer() override { owner.launch(worker); }
        Impl& owner;
        Worker& worker;
    };

    std::string name;
    int count;
    std::function<int(int)> body;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<std::unique_ptr<Restart>> restarts;

    void launch(Worker& worker) {
        auto pid = fork_child([this, index = worker.index] { return body(index); });
        worker.started = detail::Reactor::now();
        if (!pid) {
            log::warning("{}: {}", name, pid.error().text);
            return later(worker);
        }
        worker.pid = *pid;
        worker.watched = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
        if (worker.watched) detail::Reactor::current().watch(worker.watched.get(), worker, EPOLLIN);
    }

    void later(Worker& worker) {
        worker.delay = std::min(kMaxDelayMillis, std::max<uint64_t>(1000, worker.delay * 2));
        restarts.push_back(std::make_unique<Restart>(*this, worker));
        restarts.back()->schedule(detail::Reactor::now() + worker.delay);
    }

    void check(Worker& worker) {
        int status = 0;
        if (worker.pid < 0 || ::waitpid(worker.pid, &status, WNOHANG) != worker.pid) return;
        // As Postfix's master says it.
        if (WIFSIGNALED(status)) {
            log::warning("process {} pid {} killed by signal {}", name, worker.pid, WTERMSIG(status));
        } else if (WEXITSTATUS(status) != 0) {
            log::warning("process {} pid {} exit status {}", name, worker.pid, WEXITSTATUS(status));
        }
        detail::Reactor::current().unwatch(worker.watched.get());
        worker.watched.reset();
        worker.pid = -1;
        ended(worker, status);   // may free the worker: the loop does not touch it after this callback
    }

    void ended(Worker& worker, int status) {
        std::erase_if(restarts, [](const auto& restart) { return !restart->scheduled(); });
        if (worker.retired) {
            std::erase_if(workers, [&](const auto& entry) { return entry.get() == &worker; });
            return;
        }
        bool healthy = status == 0 || detail::Reactor::now() - worker.started >= kHealthyMillis;
        if (healthy && worker.started + 1000 <= detail::Reactor::now()) {
            worker.delay = 0;
            return launch(worker);
        }
        if (worker.delay > 0) log::warning("{}: bad command startup -- throttling", name);
        later(worker);
    }

    void start_generation() {
        for (int i = 0; i < count; ++i) {
            workers.push_back(std::make_unique<Worker>(*this));
            workers.back()->index = i;
            launch(*workers.back());
        }
    }
};

Workers::Workers(std::string name, int count, std::function<int(int index)> body) : impl_(std::make_unique<Impl>()) {
    impl_->name = std::move(name);
    impl_->count = count;
    impl_->body = std::move(body);
}

Workers::~Workers() {
    constexpr int kPatienceMillis = 10 * 1000;
    impl_->restarts.clear();
    signal_all(SIGTERM);
    for (int waited = 0;; waited += 10) {
        bool all_gone = true;
        for (auto& worker : impl_->workers) {
            if (worker->pid < 0) continue;
            int status;
            if (::waitpid(worker->pid, &status, WNOHANG) != 0) {
                worker->pid = -1;
            } else {
                all_gone = false;
            }
        }
        if (all_gone) break;
        if (waited == kPatienceMillis) signal_all(SIGKILL);
        ::usleep(10 * 1000);
    }
    for (auto& worker : impl_->workers) {
        if (worker->watched) detail::Reactor::current().unwatch(worker->watched.get());
    }
}

void Workers::start() { impl_->start_generation(); }

void Workers::signal_all(int signum) {
    for (auto& worker : impl_->workers) {
        if (worker->pid > 0) ::kill(worker->pid, signum);
    }
}

void Workers::renew() {
    impl_->restarts.clear();
    for (auto& worker : impl_->workers) worker->retired = true;
    signal_all(SIGHUP);
    std::erase_if(impl_->workers, [](const auto& worker) { return worker->pid < 0 && !worker->watched; });
    impl_->start_generation();
}

}   // namespace postcot
