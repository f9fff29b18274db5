#include "authd/parent.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "authd/passed_login.h"
#include "authd/server.h"
#include "authd/worker/parent_messages.h"
#include "authd/worker/worker.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/sandbox.h"
#include "libproto/runtime/subprocess.h"

namespace postcot::authd {

namespace {

constexpr size_t kMaxWorkersPerServer = 1000;

Expected<void> make_directory(const std::string& path, mode_t mode, int uid, int gid) {
    if (::mkdir(path.c_str(), mode) == 0) {
        (void)::chmod(path.c_str(), mode);   // whatever the umask is
        if (running_as_root() && ::chown(path.c_str(), static_cast<uid_t>(uid), static_cast<gid_t>(gid)) != 0)
            return fail_errno(errno, "chown(" + path + ")");
        return {};
    }
    if (errno != EEXIST) return fail_errno(errno, "mkdir(" + path + ")");
    return {};
}

}   // namespace

Parent::Parent(Settings settings, std::function<Expected<Settings>()> load)
    : settings_(std::make_shared<const Settings>(std::move(settings))), load_(std::move(load)) {}

Parent::~Parent() = default;

// base_dir as Dovecot's master makes it: 0755, and login/ inside it 0750 for the fronts' group.
Expected<void> Parent::make_directories(const Settings& settings) {
    auto base = make_directory(settings.base_dir, 0755, 0, 0);
    if (!base) return base;
    int group = -1;
    if (running_as_root()) {
        auto account = find_account(settings.login_user);
        if (account) group = static_cast<int>(account->gid);
    }
    return make_directory(settings.base_dir + "/login", 0750, 0, group);
}

Expected<Parent::Bound> Parent::bind(const SocketSettings& socket) {
    if (auto given = activated_.find(socket.path); given != activated_.end()) {
        struct stat st {};
        Bound bound;
        bound.settings = socket;
        bound.fd = std::move(given->second);
        bound.owner = ::stat(socket.path.c_str(), &st) == 0 ? st.st_uid : 0;
        bound.activated = true;
        activated_.erase(given);
        return bound;
    }
    int uid = -1, gid = -1;
    if (running_as_root()) {
        uid = 0;
        gid = 0;
        if (!socket.user.empty()) {
            auto account = find_account(socket.user);
            if (!account)
                return fail(account.error().code, "unix_listener " + socket.path + ": user: " + account.error().text);
            uid = static_cast<int>(account->uid);
        }
        if (!socket.group.empty()) {
            auto account = find_account("root", socket.group);
            if (!account)
                return fail(account.error().code, "unix_listener " + socket.path + ": group: " + account.error().text);
            gid = static_cast<int>(account->gid);
        }
    }
    auto fd = listen_unix(socket.path, socket.mode, uid, gid);
    if (!fd) return fail(fd.error());
    Bound bound;
    bound.settings = socket;
    bound.fd = std::move(*fd);
    bound.owner = uid >= 0 ? static_cast<uint32_t>(uid) : static_cast<uint32_t>(getuid());
    return bound;
}

void Parent::bind_all() {
    std::map<std::string, Bound> keep;
    for (const auto& socket : settings_->sockets) {
        auto old = bound_.find(socket.path);
        if (old != bound_.end() && old->second.settings.mode == socket.mode &&
            old->second.settings.user == socket.user && old->second.settings.group == socket.group) {
            old->second.settings = socket;
            keep.emplace(socket.path, std::move(old->second));
            bound_.erase(old);
            continue;
        }
        auto fresh = bind(socket);
        if (!fresh) {
            // Most often Postfix's queue directory is not there yet: tried again, and said once.
            if (missing_[socket.path] != fresh.error().text)
                log::error("bind({}) failed: {} (trying again every second)", socket.path, fresh.error().text);
            missing_[socket.path] = fresh.error().text;
            continue;
        }
        if (missing_.erase(socket.path)) log::info("bound {}", socket.path);
        keep.emplace(socket.path, std::move(*fresh));
    }
    for (const auto& [path, bound] : bound_) {
        if (!keep.count(path) && !bound.activated) (void)::unlink(path.c_str());
    }
    bound_ = std::move(keep);
}

Expected<void> Parent::start_server(const std::shared_ptr<const Settings>& settings) {
    auto pair = socket_pair();
    if (!pair) return fail(pair.error());
    int theirs = pair->second.get();
    // The sockets that it needs come through the channel.
    ChildDescriptors channel;
    channel.keep = {theirs};
    auto pid = fork_child([settings, theirs] { return run_server(*settings, UniqueFd(theirs)); }, channel);
    if (!pid) return fail(pid.error());
    auto generation = std::make_shared<Generation>(std::move(pair->first));
    generation->settings = settings;
    generation->pid = *pid;
    generations_.push_back(generation);
    scope_.spawn(serve(generation));
    return {};
}

void Parent::offer(Generation& generation, const Bound& bound) {
    int copy = ::fcntl(bound.fd.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    Listen message;
    message.kind = bound.settings.kind;
    message.path = bound.settings.path;
    message.mode = static_cast<uint32_t>(bound.settings.mode);
    message.owner = bound.owner;
    std::vector<UniqueFd> fds;
    fds.emplace_back(copy);
    generation.channel.post(ipc::Channel::pack(message, std::move(fds)));
}

pid_t Parent::spawn_worker(Generation& generation) {
    WorkerSpawned answer;
    std::vector<UniqueFd> fds;
    int pair[2];
    if (generation.workers.size() < kMaxWorkersPerServer &&
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        UniqueFd ours(pair[0]), theirs(pair[1]);
        // A PAM module may do anything: it gets its socket and nothing else that is open here.
        int fd = theirs.get();
        ChildDescriptors socket;
        socket.keep = {fd};
        socket.keep_log = false;
        auto pid = fork_child(
            [fd] {
                ::prctl(PR_SET_NAME, "authd: worker");
                ::setpgid(0, 0);   // what PAM starts is killed with its worker
                return run_worker(fd);
            },
            socket);
        if (pid) {
            ::setpgid(*pid, *pid);
            answer.pid = static_cast<uint32_t>(*pid);
            generation.workers.insert(answer.pid);
            fds.push_back(std::move(ours));
        } else {
            log::error("fork of an auth worker failed: {}", pid.error().text);
        }
    }
    generation.channel.post(ipc::Channel::pack(answer, std::move(fds)));
    return static_cast<pid_t>(answer.pid);
}

Task<void> Parent::reap_worker(std::shared_ptr<Generation> generation, pid_t pid) {
    auto status = co_await wait_child(pid);
    generation->workers.erase(static_cast<uint32_t>(pid));
    if (status && WIFSIGNALED(*status) && WTERMSIG(*status) != SIGKILL && WTERMSIG(*status) != SIGTERM) {
        log::error("auth worker: child {} killed with signal {}", pid, WTERMSIG(*status));
    }
}

Task<void> Parent::serve(std::shared_ptr<Generation> generation) {
    for (;;) {
        auto frame = co_await generation->channel.receive();
        if (!frame) break;
        if (frame->type == Ready::kType) {
            // Only now does a new configuration count: what cannot be read fails its server, not the one that runs.
            generation->ready = true;
            current_ = generation;
            if (settings_ != generation->settings) {
                settings_ = generation->settings;
                missing_.clear();
                bind_all();
            }
            for (const auto& [path, bound] : bound_) offer(*generation, bound);
            // The old ones keep those who are in the middle of something.
            for (auto& other : generations_) {
                if (other == generation || other->retired) continue;
                other->retired = true;
                ::kill(other->pid, SIGHUP);
            }
            if (!ever_ready_) notify_ready();
            ever_ready_ = true;
        } else if (frame->type == SpawnWorker::kType) {
            pid_t pid = spawn_worker(*generation);
            if (pid > 0) scope_.spawn(reap_worker(generation, pid));
        } else if (frame->type == PassedLogin::kType) {
            if (current_ && current_ != generation) current_->channel.post(std::move(*frame));
        } else if (frame->type == KillWorker::kType) {
            auto message = ipc::Channel::unpack<KillWorker>(*frame);
            // Only a worker of its own: the server is not to be trusted with our privileges.
            if (message && generation->workers.count(message->pid)) ::kill(-static_cast<pid_t>(message->pid), SIGKILL);
        }
    }
    ::kill(generation->pid, SIGTERM);
    auto status = co_await wait_child(generation->pid);
    for (uint32_t pid : generation->workers) ::kill(-static_cast<pid_t>(pid), SIGTERM);
    generations_.erase(std::remove(generations_.begin(), generations_.end(), generation), generations_.end());
    if (current_ == generation) current_.reset();
    changed_.set();
    if (stopping_ || generation->retired) co_return;
    if (!ever_ready_) {
        exit_status_ = 1;   // it said why
        stopping_ = true;
        co_return;
    }
    if (!generation->ready && generation->settings != settings_) {
        log::error("the new configuration cannot be used; keeping the old configuration");
    }
    if (current_) co_return;
    if (status && WIFSIGNALED(*status))
        log::error("service(auth): child {} killed with signal {}", generation->pid, WTERMSIG(*status));
    else
        log::error("service(auth): child {} returned error {}", generation->pid, status ? WEXITSTATUS(*status) : -1);
    auto slept = co_await sleep_for(Millis(generation->ready ? 200 : 5000));
    if (!slept || stopping_) co_return;
    auto started = start_server(settings_);
    if (!started) log::error("cannot start the auth server: {}", started.error().text);
}

Task<void> Parent::retry_missing() {
    for (;;) {
        auto slept = co_await sleep_for(Millis(1000));
        if (!slept) co_return;
        if (missing_.empty()) continue;
        std::vector<std::string> wanted;
        for (const auto& [path, why] : missing_) wanted.push_back(path);
        bind_all();
        for (const auto& path : wanted) {
            auto bound = bound_.find(path);
            if (bound != bound_.end() && current_ && current_->ready) offer(*current_, bound->second);
        }
    }
}

void Parent::reload() {
    log::warning("SIGHUP received - reloading configuration");
    auto fresh = load_();
    if (!fresh) {
        log::error("{}; keeping the old configuration", fresh.error().text);
        return;
    }
    notify_reloading();
    for (const auto& warning : fresh->warnings) log::warning("{}", warning);
    auto started = start_server(std::make_shared<const Settings>(std::move(*fresh)));
    if (!started) log::error("cannot start the new auth server: {}", started.error().text);
    notify_ready();
}

Task<int> Parent::run() {
    Loop& loop = Loop::current();
    auto stop = [this] {
        stopping_ = true;
        changed_.set();
    };
    loop.on_signal(SIGTERM, stop);
    loop.on_signal(SIGINT, stop);
    loop.on_signal(SIGHUP, [this] { reload(); });
    loop.on_signal(SIGUSR1, [this] {
        log::reopen();
        for (const auto& generation : generations_) ::kill(generation->pid, SIGUSR1);
    });
    auto made = make_directories(*settings_);
    if (!made) {
        log::error("{}", made.error().text);
        co_return 1;
    }
    for (auto& socket : activated_sockets()) {
        if (!socket.local.is_unix()) continue;
        sockaddr_un name{};
        std::memcpy(&name, &socket.local.storage, sizeof name);
        activated_[name.sun_path] = std::move(socket.fd);
    }
    bind_all();
    auto started = start_server(settings_);
    if (!started) {
        log::error("{}", started.error().text);
        co_return 1;
    }
    scope_.spawn(retry_missing());
    while (!stopping_) {
        changed_.reset();
        (void)co_await changed_.wait();
    }
    notify_stopping();
    for (const auto& generation : generations_) ::kill(generation->pid, SIGTERM);
    while (!generations_.empty()) {
        changed_.reset();
        auto waited = co_await changed_.wait(Millis(5000));
        if (waited) continue;
        for (const auto& generation : generations_) ::kill(generation->pid, SIGKILL);
    }
    for (const auto& [path, bound] : bound_) {
        if (!bound.activated) (void)::unlink(path.c_str());
    }
    scope_.cancel();
    co_await scope_.join();
    co_return exit_status_;
}

}   // namespace postcot::authd
