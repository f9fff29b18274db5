#include "queued/parent.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>

#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"

namespace postcot::queued {

namespace {

constexpr int kQuickDeath = 5;      // seconds: who lives shorter waits before the next start
constexpr int kStopPatience = 30;   // seconds from SIGTERM to SIGKILL

struct Child {
    const char* name;
    pid_t pid = -1;
    time_t started = 0;
    time_t start_at = 0;   // not before
};

sigset_t handled_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signum : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signum);
    return set;
}

bool make_pair(UniqueFd& a, UniqueFd& b) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return false;
    a = UniqueFd(fds[0]);
    b = UniqueFd(fds[1]);
    return true;
}

// One frame of ipc/channel.h with a descriptor and no payload. The parent has no loop and no Channel.
bool send_channel(int socket, uint16_t type, int fd) {
    unsigned char head[8] = {};
    head[4] = static_cast<unsigned char>(type & 0xFF);
    head[5] = static_cast<unsigned char>(type >> 8);
    head[6] = 1;
    iovec part{head, sizeof head};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof head);
}

class Parent {
  public:
    Parent(std::string root, Configuration configuration, const ParentJobs& jobs)
        : root_(std::move(root)), configuration_(std::move(configuration)), jobs_(jobs) {}

    int run() {
        sigset_t signals = handled_signals();
        sigprocmask(SIG_BLOCK, &signals, &before_);
        signal_fd_ = UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
        while (!finished_) {
            start_missing();
            pollfd wait[2] = {{signal_fd_.get(), POLLIN, 0}, {manager_socket_.get(), POLLIN, 0}};
            ::poll(wait, manager_socket_ ? 2 : 1, 1000);
            read_signals();
            if (manager_socket_ && (wait[1].revents & (POLLIN | POLLHUP))) read_manager();
            reap();
            if (stopping_) stop_step();
            answer_watchdog();
        }
        return status_;
    }

  private:
    // A manager that serves answers itself. One that reads the journal, waits for its next start or ends has limits of its own.
    void answer_watchdog() {
        if (watchdog_.count() == 0 || (manager_ready_ && !stopping_)) return;
        auto now = std::chrono::steady_clock::now();
        if (now - answered_ < watchdog_) return;
        answered_ = now;
        notify_watchdog();
    }

    void start_missing() {
        if (stopping_) return;
        time_t now = time(nullptr);
        if (manager_.pid < 0 && now >= manager_.start_at) {
            UniqueFd ours, theirs;
            if (!make_pair(ours, theirs)) return;
            pid_t pid = fork_into(manager_, [&] {
                ours.reset();
                return jobs_.manager(std::move(theirs), std::move(configuration_));
            });
            if (pid < 0) return;
            manager_ready_ = false;
            manager_socket_ = std::move(ours);
            // Agents talk to one manager only: what they still do for the last one nobody would hear.
            for (Child* agent : {&local_, &remote_}) {
                if (agent->pid > 0) ::kill(agent->pid, SIGTERM);
            }
        }
        if (manager_.pid > 0) {
            start_agent(local_, kLocalAgentChannel, jobs_.local, now);
            start_agent(remote_, kRemoteAgentChannel, jobs_.remote, now);
        }
    }

    void start_agent(Child& child, uint16_t type, const std::function<int(UniqueFd, Configuration)>& job, time_t now) {
        if (child.pid > 0 || now < child.start_at) return;
        UniqueFd ours, theirs;
        if (!make_pair(ours, theirs)) return;
        pid_t pid = fork_into(child, [&] {
            ours.reset();
            manager_socket_.reset();
            auto fresh = Configuration::load(root_);   // after a reload; a broken file leaves what was
            return job(std::move(theirs), fresh ? std::move(*fresh) : std::move(configuration_));
        });
        if (pid > 0 && !send_channel(manager_socket_.get(), type, ours.get()))
            log::warning("queue manager does not take its agent's channel");
    }

    template <class Body>
    pid_t fork_into(Child& child, Body body) {
        pid_t pid = ::fork();
        if (pid < 0) {
            log::error("fork: {}", strerror(errno));
            child.start_at = time(nullptr) + kQuickDeath;
            return pid;
        }
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGTERM);
            signal_fd_.reset();
            sigprocmask(SIG_SETMASK, &before_, nullptr);
            int status = 1;
            try {
                status = body();
            } catch (const std::exception& e) {
                log::error("{}: {}", child.name, e.what());
            }
            std::fflush(nullptr);
            ::_exit(status);
        }
        child.pid = pid;
        child.started = time(nullptr);
        return pid;
    }

    void read_signals() {
        signalfd_siginfo info{};
        while (::read(signal_fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
                if (!stopping_) {
                    notify_stopping();
                    stopping_ = true;
                    stop_began_ = time(nullptr);
                    if (manager_.pid > 0) ::kill(manager_.pid, SIGTERM);
                }
            } else if (info.ssi_signo == SIGHUP) {
                auto fresh = Configuration::load(root_);
                if (!fresh) {
                    log::error("reload: {}: the old configuration stays", fresh.error().text);
                    continue;
                }
                configuration_ = std::move(*fresh);
                if (manager_.pid > 0)
                    ::kill(manager_.pid, SIGHUP);   // it asks the agents to finish; they come back with the new files
            }
        }
    }

    void read_manager() {
        char what = 0;
        ssize_t n = ::read(manager_socket_.get(), &what, 1);
        if (n == 1 && what == 'R') {
            manager_ready_ = true;
            notify_ready();
        }
        if (n == 1 && what == 'W') notify_watchdog();   // its event loop turns
        if (n == 0) manager_socket_.reset();
    }

    void reap() {
        int status = 0;
        for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
            for (Child* child : {&manager_, &local_, &remote_}) {
                if (child->pid != pid) continue;
                child->pid = -1;
                bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
                time_t now = time(nullptr);
                if (!clean && !(stopping_ && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)) {
                    if (WIFSIGNALED(status)) {
                        log::warning("process queued: {} pid {} killed by signal {}", child->name, pid,
                                     WTERMSIG(status));
                    } else {
                        log::warning("process queued: {} pid {} exit status {}", child->name, pid, WEXITSTATUS(status));
                    }
                }
                if (!clean && !stopping_ && now - child->started < kQuickDeath) {
                    log::warning("queued: {}: bad start -- throttling", child->name);
                    child->start_at = now + kQuickDeath;
                }
                if (child == &manager_) {
                    manager_ready_ = false;
                    manager_socket_.reset();
                    if (stopping_) status_ = clean ? 0 : 1;
                }
            }
        }
    }

    void stop_step() {
        time_t now = time(nullptr);
        if (manager_.pid < 0) {
            for (Child* agent : {&local_, &remote_}) {
                if (agent->pid > 0 && agent->start_at != -1) {
                    ::kill(agent->pid, SIGTERM);
                    agent->start_at = -1;
                }
            }
            if (local_.pid < 0 && remote_.pid < 0) finished_ = true;
        }
        if (!finished_ && now - stop_began_ > kStopPatience) {
            for (Child* child : {&manager_, &local_, &remote_}) {
                if (child->pid > 0) ::kill(child->pid, SIGKILL);
            }
        }
    }

    std::string root_;
    Configuration configuration_;
    const ParentJobs& jobs_;
    UniqueFd signal_fd_;
    UniqueFd manager_socket_;
    sigset_t before_{};
    Child manager_{"manager"};
    Child local_{"local"};
    Child remote_{"remote"};
    const Millis watchdog_ = watchdog_interval();
    std::chrono::steady_clock::time_point answered_{};
    bool manager_ready_ = false;
    bool stopping_ = false;
    bool finished_ = false;
    time_t stop_began_ = 0;
    int status_ = 0;
};

}   // namespace

Expected<Configuration> Configuration::load(const std::string& root) {
    auto main = config::MainCf::load(root + "/postfix");
    if (!main) return fail(main.error());
    auto master = config::MasterCf::load(root + "/postfix", *main);
    if (!master) return fail(master.error());
    return Configuration{std::move(*main), std::move(*master)};
}

int run_parent(const std::string& config_root, Configuration configuration, const ParentJobs& jobs) {
    return Parent(config_root, std::move(configuration), jobs).run();
}

}   // namespace postcot::queued
