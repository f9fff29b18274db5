#include "libproto/runtime/daemon.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

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

namespace {

const std::vector<int>* kept_by_child = nullptr;   // set for the time of a fork

void close_all_but_kept() {
    if (!kept_by_child) return;
    unsigned from = 3;
    for (int fd : *kept_by_child) {   // sorted
        if (fd < static_cast<int>(from)) continue;
        const auto kept = static_cast<unsigned>(fd);
        if (kept > from) ::close_range(from, kept - 1, 0);
        from = kept + 1;
    }
    ::close_range(from, ~0U, 0);
}

// Closing is the first of all that a child does, before the handler that libuv has for a fork: that one makes anew the pipe which libuv has for the whole
// process, and goes on by its numbers. Closed after it, the numbers would be given to others, whom the handler closes at the child's own next fork: PAM's
// modules, which talk to their helpers over a pipe, lost it so.
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, close_all_but_kept);

Expected<pid_t> fork_keeping(const std::vector<int>* kept, const std::function<int()>& body, bool has_log) {
    std::fflush(nullptr);
    pid_t parent = ::getpid();
    // A signal for the child must not run the handler that it inherits, which tells the parent: it waits until reset_after_fork().
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    kept_by_child = kept;
    pid_t pid = ::fork();
    int error = errno;
    kept_by_child = nullptr;
    if (pid != 0) sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return fail_errno(error, "fork");
    if (pid > 0) return pid;

    detail::reset_after_fork();
    if (!has_log) log::detach();
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

}   // namespace

Expected<pid_t> fork_child(std::function<int()> body, ChildDescriptors descriptors) {
    std::vector<int> kept = std::move(descriptors.keep);
    if (descriptors.keep_log) kept.push_back(log::descriptor());
    std::sort(kept.begin(), kept.end());
    return fork_keeping(&kept, body, descriptors.keep_log);
}

Expected<pid_t> fork_child(std::function<int()> body) { return fork_keeping(nullptr, body, true); }

}   // namespace postcot
