#include "authd/server.h"

#include <signal.h>

#include "authd/client_session.h"
#include "authd/master_session.h"
#include "authd/worker/pool.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/sandbox.h"
#include "libproto/sasl/password.h"

namespace postcot::authd {

namespace {

constexpr Millis kWorkerTimeout{60000};     // one PAM conversation
constexpr Millis kReloadPatience{155000};   // a login's REQUEST may take so long: Dovecot's AUTH_REQUEST_TIMEOUT_SECS
constexpr Millis kStopPatience{1000};
constexpr Millis kMastersPatience{5000};   // for a master that has not moved to the new server to fetch a login here

}   // namespace

Server::Server(const Settings& settings, std::vector<sasl::Mechanism> mechanisms, Authenticator& authenticator)
    : settings_(settings),
      mechanisms_(std::move(mechanisms)),
      authenticator_(authenticator),
      failures_(helpers_, settings.failure_delay) {}

Server::~Server() = default;

void Server::listen(Listen socket, UniqueFd fd) { accepting_.spawn(accept_loop(std::move(socket), std::move(fd))); }

Task<void> Server::accept_loop(Listen socket, UniqueFd fd) {
    Listener listener(std::move(fd));
    for (;;) {
        auto accepted = co_await listener.accept();
        if (!accepted) {
            if (accepted.error().code == ECANCELED) co_return;
            log::error("accept() on {} failed: {}", socket.path, accepted.error().text);
            auto slept = co_await sleep_for(Millis(200));
            if (!slept) co_return;
            continue;
        }
        if (sessions_.size() >= settings_.client_limit) {
            if (!full_)
                log::warning("service(auth): client_limit ({}) reached, client connections are being dropped",
                             settings_.client_limit);
            full_ = true;
            continue;
        }
        full_ = false;
        sessions_.spawn(run_session(socket, std::move(accepted->fd)));
    }
}

Task<void> Server::run_session(Listen socket, UniqueFd fd) {
    using Kind = SocketSettings::Kind;
    if (socket.kind == Kind::kClient || socket.kind == Kind::kLogin) {
        ClientSession session(*this, std::move(fd), socket.kind == Kind::kLogin);
        co_await session.run();
        co_return;
    }
    // Dovecot: on a userdb socket with mode 0666 anyone but root and the socket's owner sees only users with his own uid.
    std::optional<uint32_t> only_uid;
    if (socket.kind == Kind::kUserdb && (socket.mode & 0777) == 0666) {
        auto peer = peer_credentials(fd.get());
        if (!peer) {
            log::error("userdb connection: Failed to get peer's credentials: {}", peer.error().text);
            co_return;
        }
        if (peer->uid != 0 && peer->uid != socket.owner) only_uid = peer->uid;
    }
    MasterSession session(*this, std::move(fd), socket.kind == Kind::kUserdb, only_uid);
    co_await session.run();
}

void Server::add_client(uint32_t pid, ClientSession& session) { clients_.emplace(pid, &session); }

void Server::remove_client(uint32_t pid, ClientSession& session) {
    auto [first, last] = clients_.equal_range(pid);
    for (auto it = first; it != last; ++it) {
        if (it->second == &session) {
            clients_.erase(it);
            return;
        }
    }
}

ClientSession* Server::find_client(uint32_t pid, const std::string& cookie, std::string& why) {
    auto [first, last] = clients_.equal_range(pid);
    if (first == last)
        why = fmt::format("Master requested auth for nonexistent client {}", pid);
    else
        why = fmt::format("Master requested auth for client {} with invalid cookie", pid);
    for (auto it = first; it != last; ++it) {
        if (sasl::same_bytes(it->second->cookie(), cookie)) return it->second;
    }
    return nullptr;
}

void Server::pass_on(PassedLogin login) {
    if (give_) give_(login);
    passed_.add(std::move(login));
}

void Server::pass_logins_on(std::function<void(const PassedLogin&)> give) {
    give_ = std::move(give);
    passed_.for_each(give_);
    for (auto* session : open_) session->pass_logins_on();
}

Task<void> Server::drain(const Millis& patience, std::function<void()> cut) {
    draining_ = true;
    accepting_.cancel();
    co_await accepting_.join();
    auto began = Loop::current().now();
    while ((!open_.empty() || passed_.younger_than(kMastersPatience)) && Loop::current().now() < began + patience) {
        std::vector<ClientSession*> idle;
        for (auto* session : open_) {
            if (session->idle()) idle.push_back(session);
        }
        // Closing one may end it at once: only those that are still there are touched.
        for (auto* session : idle) {
            if (open_.count(session)) session->close();
        }
        (void)co_await sleep_for(Millis(100));
    }
    // Masters last: a login that was answered is still fetched through them.
    cut();
    failures_.close();
    sessions_.cancel();
    co_await sessions_.join();
    helpers_.cancel();
    co_await helpers_.join();
}

namespace {

// Everything that the process has, in the order of its making.
struct Process {
    const Settings& settings;
    ipc::Channel channel;
    std::unique_ptr<WorkerPool> workers;
    std::unique_ptr<Authenticator> authenticator;
    std::unique_ptr<Server> server;
    Event stop;
    Millis patience = kStopPatience;
    // WorkerSpawned frames answer SpawnWorker frames; the pool asks for one at a time.
    Event spawned;
    WorkerHandle fresh_worker;

    explicit Process(const Settings& s, UniqueFd socket) : settings(s), channel(std::move(socket)) {}

    Task<Expected<WorkerHandle>> spawn_worker() {
        spawned.reset();
        SpawnWorker wish;
        auto asked = co_await channel.send_message(wish);
        if (!asked) co_return fail(asked.error());
        auto answered = co_await spawned.wait(Millis(10000));
        if (!answered) co_return fail(answered.error().code, "the parent did not make an auth worker");
        if (fresh_worker.pid == 0 || !fresh_worker.socket)
            co_return fail(EAGAIN, "the parent could not make an auth worker");
        co_return std::move(fresh_worker);
    }

    Task<void> listen_to_parent() {
        for (;;) {
            auto frame = co_await channel.receive();
            if (!frame) break;
            if (frame->type == Listen::kType && frame->fds.size() == 1) {
                auto socket = ipc::Channel::unpack<Listen>(*frame);
                if (socket) server->listen(std::move(*socket), std::move(frame->fds[0]));
            } else if (frame->type == WorkerSpawned::kType) {
                auto message = ipc::Channel::unpack<WorkerSpawned>(*frame);
                fresh_worker.pid = message ? message->pid : 0;
                fresh_worker.socket = frame->fds.empty() ? UniqueFd() : std::move(frame->fds[0]);
                spawned.set();
            } else if (frame->type == PassedLogin::kType) {
                auto login = ipc::Channel::unpack<PassedLogin>(*frame);
                if (login) server->pass_on(std::move(*login));
            }
        }
        stop.set();   // no parent, no authd
    }

    Task<int> run() {
        Scope scope;
        scope.spawn(listen_to_parent());
        Ready ready;
        auto told = co_await channel.send_message(ready);
        if (told) (void)co_await stop.wait();
        auto cut = [this] {
            if (workers) workers->close();
        };
        co_await server->drain(patience, cut);
        scope.cancel();
        co_await scope.join();
        co_return 0;
    }
};

Expected<void> give_up_privileges(const Settings& settings) {
    Sandbox sandbox;
    Expected<Account> account = Account();
    if (running_as_root() && settings.service_user != "root") {
        account = find_account(settings.service_user);
        if (!account) return fail(account.error());
        sandbox.account = &*account;
    }
    return enter_sandbox(sandbox);
}

}   // namespace

int run_server(const Settings& settings, UniqueFd channel) {
    auto mechanisms = start_sasl(settings.mechanisms);
    if (!mechanisms) log::fatal("{}", mechanisms.error().text);
    Process process(settings, std::move(channel));
    if (settings.uses_root_workers()) {
        process.workers = std::make_unique<WorkerPool>(
            settings.worker_limit, kWorkerTimeout, [&process] { return process.spawn_worker(); },
            [&process](uint32_t pid) {
                KillWorker message;
                message.pid = pid;
                process.channel.post(ipc::Channel::pack(message));
            });
    }
    auto authenticator = Authenticator::create(settings, process.workers.get());
    if (!authenticator) log::fatal("{}", authenticator.error().text);
    process.authenticator = std::move(*authenticator);
    process.server = std::make_unique<Server>(settings, std::move(*mechanisms), *process.authenticator);
    Loop& loop = Loop::current();
    for (int signum : {SIGTERM, SIGINT})
        loop.on_signal(signum, [&process] {
            process.patience = kStopPatience;
            process.stop.set();
        });
    // From the parent: a new server has the sockets now; end when those who talk to this one are done.
    loop.on_signal(SIGHUP, [&process] {
        process.patience = kReloadPatience;
        process.server->pass_logins_on(
            [&process](const PassedLogin& login) { process.channel.post(ipc::Channel::pack(login)); });
        process.stop.set();
    });
    loop.on_signal(SIGUSR1, [] { log::reopen(); });
    auto confined = give_up_privileges(settings);
    if (!confined) log::fatal("cannot give up privileges: {}", confined.error().text);
    return loop.run_until_complete(process.run());
}

}   // namespace postcot::authd
