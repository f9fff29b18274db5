#include "libproto/runtime/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "libproto/runtime/net.h"

namespace postcot {

namespace {

class SpawnPlan {
  public:
    SpawnPlan() {
        posix_spawn_file_actions_init(&actions_);
        posix_spawnattr_init(&attributes_);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    Expected<pid_t> spawn(const SubprocessOptions& options, int output_fd) {
        std::vector<char*> argv, environment;
        for (const auto& argument : options.argv) argv.push_back(const_cast<char*>(argument.c_str()));
        for (const auto& entry : options.environment) environment.push_back(const_cast<char*>(entry.c_str()));
        argv.push_back(nullptr);
        environment.push_back(nullptr);

        if (options.stdin_fd >= 0) {
            posix_spawn_file_actions_adddup2(&actions_, options.stdin_fd, 0);
        } else {
            posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
        }
        posix_spawn_file_actions_adddup2(&actions_, output_fd, 1);
        posix_spawn_file_actions_adddup2(&actions_, output_fd, 2);
        if (!options.directory.empty()) posix_spawn_file_actions_addchdir_np(&actions_, options.directory.c_str());

        // The program starts with default signals, whatever we handle or ignore.
        sigset_t all, none;
        sigfillset(&all);
        sigemptyset(&none);
        short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
        if (options.kill_group) flags = static_cast<short>(flags | POSIX_SPAWN_SETPGROUP);
        posix_spawnattr_setflags(&attributes_, flags);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setpgroup(&attributes_, 0);

        pid_t pid = 0;
        int failed = posix_spawnp(&pid, argv[0], &actions_, &attributes_, argv.data(), environment.data());
        if (failed) return fail_errno(failed, options.argv[0]);
        return pid;
    }

  private:
    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
};

struct Collected {
    std::string text;
    size_t limit = 0;
};

Task<void> collect(int fd, Collected& into) {
    char block[16 * 1024];
    for (;;) {
        ssize_t n = ::read(fd, block, sizeof block);
        if (n > 0) {
            size_t room = into.limit - std::min(into.limit, into.text.size());
            into.text.append(block, std::min(room, static_cast<size_t>(n)));
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n == 0 || errno != EAGAIN) co_return;
        auto ready = co_await wait_readable(fd);
        if (!ready) co_return;
    }
}

}   // namespace

Task<Expected<int>> wait_child(pid_t pid) {
    UniqueFd watched(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    for (;;) {
        int status = 0;
        pid_t ended = ::waitpid(pid, &status, WNOHANG);
        if (ended == pid) co_return status;
        if (ended < 0 && errno != EINTR) co_return fail_errno(errno, "waitpid");
        Expected<void> waited;
        if (watched) {
            waited = co_await wait_readable(watched.get());
        } else {
            waited = co_await sleep_for(Millis(20));   // no pidfd_open(2) here
        }
        if (!waited) co_return fail(std::move(waited.error()));
    }
}

Task<Expected<SubprocessResult>> run_subprocess(SubprocessOptions options, Millis timeout) {
    if (options.argv.empty()) co_return fail(EINVAL, "no program to run");
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) co_return fail_errno(errno, "pipe");
    UniqueFd output(ends[0]), child_end(ends[1]);
    ::fcntl(output.get(), F_SETFL, O_NONBLOCK);   // ours only: the child's end blocks
    SpawnPlan plan;
    auto pid = plan.spawn(options, child_end.get());
    child_end.reset();
    if (!pid) co_return fail(std::move(pid.error()));

    Collected collected;
    collected.limit = options.max_output;
    SubprocessResult result;
    Scope reading;
    reading.spawn(collect(output.get(), collected));
    auto ended = co_await with_deadline(timeout, wait_child(*pid));
    bool killed = !ended;
    int reason = ended ? 0 : ended.error().code;
    if (killed) {
        ::kill(options.kill_group ? -*pid : *pid, SIGKILL);
        // Reaped even when this task is cancelled.
        CancelSource shield;
        auto reaping = wait_child(*pid);
        reaping.with_cancel(shield);
        ended = co_await reaping;
    }
    // A background process that kept the pipe open does not keep us.
    CancelSource* source = co_await current_cancel();
    if (!killed && !(source && source->cancelled())) {
        constexpr int kRounds = 20;
        for (int i = 0; i < kRounds && reading.size() > 0; ++i) {
            auto slept = co_await sleep_for(Millis(i < 10 ? 1 : 20));
            if (!slept) break;
        }
    }
    reading.cancel();
    co_await reading.join();
    if (killed && reason != ETIMEDOUT) co_return fail_errno(reason, "subprocess");
    if (!ended) co_return fail(std::move(ended.error()));
    result.status = *ended;
    result.timed_out = killed;
    result.output = std::move(collected.text);
    co_return result;
}

}   // namespace postcot
