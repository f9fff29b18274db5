#include "tools/postcot/supervisor.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/subprocess.h"
#include "tools/postcot/pid_file.h"
#include "tools/postcot/spool.h"

namespace postcot::control {

using namespace std::chrono_literals;

int stop_signal(Half half) { return SIGRTMIN + (half == Half::kPostfix ? 1 : 2); }
int reload_signal(Half half) { return SIGRTMIN + (half == Half::kPostfix ? 3 : 4); }

namespace {

constexpr Millis kStartPatience = 30s;   // until READY=1
constexpr Millis kStopPatience = 20s;    // from SIGTERM to SIGKILL
constexpr Millis kFirstDelay = 1s;       // before a dead daemon is started again; doubled each time
constexpr Millis kLongestDelay = 60s;
constexpr Millis kHealthy = 60s;   // a daemon that lived so long starts the delays over

struct Daemon {
    Service service;
    std::string program;
    pid_t pid = 0;   // 0: does not run
    bool ready = false;
    bool stopping = false;
    Event changed;        // ready or gone
    Scope stop_waiting;   // ends the pause before a restart
};

// The socket that sd_notify(3) of the daemons writes to. Abstract: nothing to clean up, and reachable from a chroot.
class NotifySocket {
  public:
    Expected<void> open() {
        fd_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd_) return fail_errno(errno, "socket");
        int on = 1;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
        // An autobound name: the kernel chooses one that is free.
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) < 0) {
            return fail_errno(errno, "bind");
        }
        socklen_t length = sizeof address;
        if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
            return fail_errno(errno, "getsockname");
        }
        name_ = "@" + std::string(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
        return {};
    }
    const std::string& name() const { return name_; }
    int fd() const { return fd_.get(); }

    // The sender's pid and the text; 0 when there is nothing.
    pid_t receive(std::string& text) {
        char data[4096];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + 64];
        iovec vector{data, sizeof data};
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t n = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
        if (n < 0) return 0;
        text.assign(data, static_cast<size_t>(n));
        for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) continue;
            ucred sender;
            std::memcpy(&sender, CMSG_DATA(c), sizeof sender);
            return sender.pid;
        }
        return -1;
    }

  private:
    UniqueFd fd_;
    std::string name_;
};

class Supervisor {
  public:
    Supervisor(Settings settings, SupervisorOptions options)
        : settings_(std::move(settings)), options_(std::move(options)) {}

    int run() {
        if (auto ready = prepare(); !ready) {
            report(ready.error().text);
            log::write(log::Level::kFatal, ready.error().text);
            return 1;
        }
        int status = loop_.run_until_complete(main());
        for (auto& [half, file] : pid_files_) file.remove();
        return status;
    }

  private:
    bool is_postfix() const { return settings_.main.has_value() && concerns(Half::kPostfix); }
    bool concerns(Half half) const {
        return std::any_of(options_.services.begin(), options_.services.end(),
                           [&](const Service& service) { return service.half == half; });
    }

    Expected<void> prepare() {
        for (Half half : {Half::kPostfix, Half::kDovecot}) {
            if (!concerns(half)) continue;
            if (auto made = create_folders(settings_, half); !made) return made;
            auto file = PidFile::claim(settings_.pid_files.at(half), ::getpid());
            if (!file) return fail(file.error());
            pid_files_.emplace(half, std::move(*file));
        }
        open_log();
        for (const auto& service : options_.services) {
            auto daemon = std::make_unique<Daemon>();
            daemon->service = service;
            daemon->program = find_program(service.name);
            if (daemon->program.empty()) return fail(ENOENT, "cannot find the program " + service.name);
            daemons_.push_back(std::move(daemon));
        }
        return notify_.open();
    }

    void open_log() {
        log::Options log_options;
        if (is_postfix()) {
            log_options.ident = settings_.main->str("syslog_name") + "/master";
            std::string file = settings_.main->str("maillog_file");
            if (file.empty()) {
                log_options.destination.kind = log::Destination::Kind::kSyslog;
            } else {
                log_options.destination = {log::Destination::Kind::kFile, file};
            }
        } else {
            log_options.ident = "dovecot";
            log_options.dialect = log::Dialect::kDovecot;
            log_options.prefix = "master: ";
            std::string file = settings_.dovecot->str("log_path");
            if (file.empty() || file == "syslog") {
                log_options.destination.kind = log::Destination::Kind::kSyslog;
            } else {
                log_options.destination = {log::Destination::Kind::kFile, file};
            }
        }
        log_options.debug = options_.verbose;
        log::open(std::move(log_options));
    }

    // postfix-script's lines: log readers count them.
    void say_as_script(const char* what) const {
        log::info_as(settings_.main->str("syslog_name") + "/postfix-script", "{} the Postfix mail system", what);
    }

    std::string version_text() const {
        if (is_postfix()) {
            return "version " + settings_.main->str("mail_version") + ", configuration " + settings_.root + "/postfix";
        }
        return "version " POSTCOT_VERSION ", configuration " + settings_.root + "/dovecot";
    }

    void report(const std::string& text) {
        if (options_.report_fd < 0) return;
        std::string line = text + "\n";
        [[maybe_unused]] auto written = ::write(options_.report_fd, line.data(), line.size());
        ::close(options_.report_fd);
        options_.report_fd = -1;
    }

    Task<int> main() {
        // Handlers first: a stop may come while daemons start.
        for (int signum : {SIGTERM, SIGINT}) {
            loop_.on_signal(signum, [this, signum] {
                if (!terminated_) log::info("terminating on signal {}", signum);
                terminated_ = true;
                stop_.set();
            });
        }
        loop_.on_signal(SIGHUP, [this] { reload(true, true); });
        for (Half half : {Half::kPostfix, Half::kDovecot}) {
            loop_.on_signal(stop_signal(half), [this, half] {
                stopped_halves_[half] = true;
                stop_.set();
            });
            loop_.on_signal(reload_signal(half),
                            [this, half] { reload(half == Half::kPostfix, half == Half::kDovecot); });
        }
        if (is_postfix()) say_as_script("starting");
        log::info("daemon started -- {}", version_text());
        for (const auto& warning : settings_.warnings()) log::warning("{}", warning);

        Scope keeping;
        Scope listening;
        listening.spawn(listen_notifications());
        std::string problem = co_await start_all(keeping);
        report(problem.empty() ? "ok" : problem);
        int status = 0;
        if (problem.empty()) {
            notify_ready();
            co_await wait_for_stop();
        } else {
            if (!terminated_) log::write(log::Level::kFatal, problem);
            status = 1;
        }
        notify_stopping();
        co_await stop_those([](const Daemon&) { return true; });
        keeping.cancel();
        co_await keeping.join();
        listening.cancel();
        co_await listening.join();
        co_return status;
    }

    // Empty when all are ready; else what went wrong.
    Task<std::string> start_all(Scope& keeping) {
        for (auto& daemon : daemons_) {
            if (stop_.is_set()) co_return std::string("stopped while starting");
            keeping.spawn(keep(*daemon));
            bool ready = co_await wait_ready(*daemon);
            if (!ready) co_return daemon->service.name + " did not start: the log says why";
        }
        co_return std::string();
    }

    Task<bool> wait_ready(Daemon& daemon) {
        auto deadline = std::chrono::steady_clock::now() + kStartPatience;
        while (!daemon.ready) {
            auto left = std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now());
            if (left <= 0ms || daemon.pid == 0 || stop_.is_set()) co_return false;
            daemon.changed.reset();
            auto waited = co_await daemon.changed.wait(std::min<Millis>(left, 200ms));
            static_cast<void>(waited);
        }
        co_return true;
    }

    // Runs one daemon until it is stopped on purpose.
    Task<void> keep(Daemon& daemon) {
        Millis delay(0);
        CancelSource* source = co_await current_cancel();
        for (;;) {
            auto started = std::chrono::steady_clock::now();
            auto pid = launch(daemon);
            if (!pid) {
                log::warning("{}: {}", daemon.program, pid.error().text);
            } else {
                daemon.pid = *pid;
                CancelSource never;   // a child is waited for to its end
                auto ending = wait_child(*pid);
                ending.with_cancel(never);
                auto status = co_await ending;
                daemon.pid = 0;
                daemon.ready = false;
                daemon.changed.set();
                if (daemon.stopping || (source && source->cancelled())) co_return;
                say_death(daemon, *pid, status ? *status : 0);
            }
            bool healthy = std::chrono::steady_clock::now() - started >= kHealthy;
            delay = healthy || delay == 0ms ? kFirstDelay : std::min(delay * 2, kLongestDelay);
            if (delay > kFirstDelay) log::warning("{}: bad command startup -- throttling", daemon.program);
            auto slept = co_await sleep_for(delay).with_cancel(daemon.stop_waiting.source());
            if (!slept || daemon.stopping || (source && source->cancelled())) co_return;
        }
    }

    void say_death(const Daemon& daemon, pid_t pid, int status) {
        if (WIFSIGNALED(status)) {
            log::warning("process {} pid {} killed by signal {}", daemon.program, pid, WTERMSIG(status));
        } else {
            log::warning("process {} pid {} exit status {}", daemon.program, pid, WEXITSTATUS(status));
        }
    }

    Expected<pid_t> launch(Daemon& daemon) {
        return fork_child([&]() -> int {
            // A group of its own: a last SIGKILL reaches its workers too.
            ::setpgid(0, 0);
            ::signal(SIGPIPE, SIG_DFL);
            ::setenv("NOTIFY_SOCKET", notify_.name().c_str(), 1);
            ::unsetenv("LISTEN_FDS");
            ::unsetenv("LISTEN_PID");
            const char* verbose = options_.verbose ? "-v" : nullptr;
            ::execl(daemon.program.c_str(), daemon.service.name.c_str(), "-c", settings_.root.c_str(), verbose,
                    static_cast<char*>(nullptr));
            log::warning("cannot run {}: {}", daemon.program, std::string(std::strerror(errno)));
            return 127;
        });
    }

    Task<void> listen_notifications() {
        for (;;) {
            std::string text;
            pid_t sender = notify_.receive(text);
            if (sender == 0) {
                auto readable = co_await wait_readable(notify_.fd());
                if (!readable) co_return;
                continue;
            }
            for (auto& daemon : daemons_) {
                if (daemon->pid != sender || text.find("READY=1") == std::string::npos) continue;
                daemon->ready = true;
                daemon->changed.set();
            }
        }
    }

    Task<void> wait_for_stop() {
        for (;;) {
            auto waited = co_await stop_.wait();
            static_cast<void>(waited);
            if (terminated_) co_return;
            stop_.reset();
            for (Half half : {Half::kPostfix, Half::kDovecot}) {
                if (!stopped_halves_[half] || !pid_files_.count(half)) continue;
                if (half == Half::kPostfix) {
                    say_as_script("stopping");
                } else if (!is_postfix()) {
                    log::info("stopping the mailbox servers");
                }
                co_await stop_those([half](const Daemon& daemon) { return daemon.service.half == half; });
                std::erase_if(daemons_, [half](const auto& daemon) {
                    return daemon->service.half == half && daemon->stopping && daemon->pid == 0;
                });
                pid_files_.at(half).remove();
                pid_files_.erase(half);
            }
            if (pid_files_.empty()) co_return;
        }
    }

    // In the order of stopping: SIGTERM, patience, SIGKILL to the whole group.
    template <class Which>
    Task<void> stop_those(Which which) {
        for (int order = 0; order <= 2; ++order) {
            std::vector<Daemon*> stopping;
            for (auto& daemon : daemons_) {
                if (daemon->service.stop_order != order || !which(*daemon)) continue;
                daemon->stopping = true;
                daemon->stop_waiting.cancel();
                if (daemon->pid > 0) {
                    ::kill(daemon->pid, SIGTERM);
                    stopping.push_back(daemon.get());
                }
            }
            auto deadline = std::chrono::steady_clock::now() + kStopPatience;
            for (Daemon* daemon : stopping) {
                while (daemon->pid > 0) {
                    auto left = std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now());
                    if (left <= 0ms) {
                        log::warning("process {} pid {} does not end: killed", daemon->program, daemon->pid);
                        ::kill(-daemon->pid, SIGKILL);
                        ::kill(daemon->pid, SIGKILL);
                        left = 1000ms;
                    }
                    daemon->changed.reset();
                    auto waited = co_await daemon->changed.wait(left);
                    static_cast<void>(waited);
                }
            }
        }
    }

    void reload(bool postfix, bool dovecot) {
        // Each daemon reads the configuration itself, and keeps the old one if the new one is wrong.
        if (postfix && is_postfix()) say_as_script("refreshing");
        if (postfix || !is_postfix()) log::info("reload -- {}", version_text());
        log::reopen();
        for (auto& daemon : daemons_) {
            bool meant = daemon->service.half == Half::kPostfix ? postfix : dovecot;
            if (meant && daemon->pid > 0) ::kill(daemon->pid, SIGHUP);
        }
    }

    Settings settings_;
    SupervisorOptions options_;
    Loop loop_;
    NotifySocket notify_;
    std::map<Half, PidFile> pid_files_;
    std::vector<std::unique_ptr<Daemon>> daemons_;
    Event stop_;
    bool terminated_ = false;
    std::map<Half, bool> stopped_halves_;
};

}   // namespace

int supervise(Settings settings, SupervisorOptions options) {
    Supervisor supervisor(std::move(settings), std::move(options));
    return supervisor.run();
}

}   // namespace postcot::control
