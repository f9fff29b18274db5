#include "libproto/login/front.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>

#include "libproto/login/tls_context.h"
#include "libproto/login/user_log.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/sandbox.h"

namespace postcot::login {

namespace {
constexpr std::chrono::minutes kLoginTime{3};   // Dovecot's CLIENT_LOGIN_TIMEOUT
constexpr Millis kHandshakeTime{60'000};
}   // namespace

Front::Front(const Protocol& of, config::DovecotConf settings, int channel_fd,
             const std::vector<ServiceListener>& listeners)
    : protocol(of),
      conf(std::move(settings)),
      accepting_(&scope_.source()),
      sessions_(&scope_.source()),
      parent_(UniqueFd(channel_fd)) {
    for (const auto& listener : listeners) {
        listeners_.push_back(std::make_unique<Listener>(UniqueFd(listener.fd.get())));
        listener_ssl_.push_back(listener.ssl);
    }
    ssl_mode = conf.str("ssl", protocol.name);
    disable_plaintext = conf.boolean("disable_plaintext_auth") || ssl_mode == "required";
    if (const auto* service = conf.section("service", protocol.name + "-login")) {
        int64_t limit = service->integer("client_limit");
        if (limit <= 0) limit = conf.integer("default_client_limit");
        if (limit > 0) client_limit_ = static_cast<size_t>(limit);
    }
}

Expected<void> Front::confine() {
    auto account = find_account(conf.str("default_login_user"));
    Sandbox sandbox;
    if (running_as_root()) {
        if (!account) return fail(account.error());
        sandbox.account = &*account;
        sandbox.chroot = conf.str("base_dir") + "/empty";
    }
    sandbox.filesystem = true;   // nothing to read, nothing to write
    sandbox.may_connect = false;
    return enter_sandbox(sandbox);
}

int Front::run() {
    set_process_prefix(protocol.name + "-login: ");
    auto context = server_tls(conf, protocol.name);
    if (!context) {
        log::error("Failed to initialize SSL server context: {}", context.error().text);
        return 1;
    }
    tls = std::move(*context);
    auto confined = confine();
    if (!confined) {
        log::error("{}", confined.error().text);
        return 1;
    }
    loop_.on_signal(SIGTERM, [this] { stop(); });
    loop_.on_signal(SIGINT, [this] { accepting_.cancel(); });   // reload: who is here stays until it is done
    loop_.on_signal(SIGHUP, [] {});
    loop_.on_signal(SIGUSR1, [] {});
    auth_ = std::make_unique<ipc::AuthClient>(scope_, ipc::AuthClient::Connector([this] { return connect_auth(); }));
    scope_.spawn(read_parent());
    for (size_t i = 0; i < listeners_.size(); ++i) accepting_.spawn(accept_loop(*listeners_[i], listener_ssl_[i]));
    // Everything ends when the listeners are closed and the last connection is gone.
    auto whole = [](Front& front) -> Task<void> {
        co_await front.accepting_.join();
        front.listeners_.clear();
        co_await front.sessions_.join();
        front.scope_.cancel();
        co_await front.scope_.join();
    };
    loop_.run_until_complete(whole(*this));
    return 0;
}

void Front::stop() {
    if (stopping_) return;
    stopping_ = true;
    for (Connection* connection : before_login_) {
        connection->reason = "Disconnected: Shutting down";
        connection->cancel.cancel();
    }
    for (auto& [sequence, waiter] : waiting_) waiter->event.set();
    accepting_.cancel();
}

Task<void> Front::read_parent() {
    for (;;) {
        auto frame = co_await parent_.receive();
        if (!frame) break;
        ipc::Reader reader(frame->payload);
        uint32_t sequence = reader.u32();   // both answers begin with it
        auto found = waiting_.find(sequence);
        if (found == waiting_.end()) continue;
        found->second->frame = std::move(*frame);
        found->second->event.set();
    }
    if (!scope_.source().cancelled()) stop();   // the parent died: no login is possible any more
}

Task<Expected<ipc::Frame>> Front::ask(uint32_t sequence, ipc::Frame frame) {
    Waiter waiter;
    waiting_[sequence] = &waiter;
    auto sent = co_await parent_.send(std::move(frame));
    if (sent) {
        auto waited = co_await waiter.event.wait(Millis(60'000));
        if (!waited) waiter.frame = fail(waited.error());
    } else {
        waiter.frame = fail(sent.error());
    }
    waiting_.erase(sequence);
    co_return std::move(waiter.frame);
}

Task<Expected<UniqueFd>> Front::connect_auth() {
    AuthConnect request;
    request.sequence = next_sequence();
    auto frame = co_await ask(request.sequence, ipc::Channel::pack(request));
    if (!frame) co_return fail(frame.error());
    auto reply = ipc::Channel::unpack<AuthConnected>(*frame);
    if (!reply) co_return fail(reply.error());
    if (frame->fds.empty()) co_return fail(ECONNREFUSED, reply->error);
    co_return std::move(frame->fds[0]);
}

Task<void> Front::accept_loop(Listener& listener, bool ssl) {
    for (;;) {
        auto accepted = co_await listener.accept();
        if (!accepted) {
            if (accepted.error().code == ECANCELED || stopping_) co_return;
            log::error("accept() failed: {}",
                       accepted.error().text);   // out of descriptors: wait for some to be closed
            auto slept = co_await sleep_for(Millis(200));
            if (!slept) co_return;
            continue;
        }
        if (before_login_.size() >= client_limit_) {   // as Dovecot: the one that has waited longest goes
            Connection* oldest = before_login_.front();
            oldest->reason = "Disconnected: Connection queue full";
            oldest->cancel.cancel();
        }
        int on = 1;
        setsockopt(accepted->fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);   // an IDLE lasts for days
        auto connection = std::make_unique<Connection>(std::move(accepted->fd), &scope_.source());
        connection->peer = accepted->peer;
        connection->local = accepted->local;
        sessions_.spawn(serve(std::move(connection), ssl));
    }
}

void Front::log_line(const Connection& connection, std::string_view message) const {
    log::info("{}", format_login_line(conf.str("login_log_format"), conf.str("login_log_format_elements"),
                                      connection.log, message));
}

void Front::left_login(Connection& connection) {
    connection.logged_in = true;
    before_login_.erase(connection.place);
}

Task<void> Front::serve(std::unique_ptr<Connection> connection, bool ssl) {
    Connection& c = *connection;
    c.started = std::chrono::steady_clock::now();
    c.deadline = c.started + kLoginTime;
    c.log.remote_address = c.peer.address();
    c.log.local_address = c.local.address();
    c.log.remote_port = c.peer.port();
    c.log.local_port = c.local.port();
    c.log.secured = c.log.remote_address == c.log.local_address ||
                    in_networks(conf.str("login_trusted_networks"), c.log.remote_address);
    auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    c.log.session_id = make_session_id(
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count()),
        c.log.remote_address, c.log.remote_port);
    before_login_.push_back(&c);
    c.place = std::prev(before_login_.end());

    auto task = talk(c, ssl);
    task.with_cancel(c.cancel);
    co_await task;

    if (c.logged_in) co_return;
    before_login_.erase(c.place);
    auto now = std::chrono::steady_clock::now();
    if (c.reason.empty()) c.reason = now >= c.deadline ? "Disconnected: Inactivity" : "Disconnected: Connection closed";
    EndFacts facts;
    facts.attempts = c.failed;
    facts.authenticating = c.authenticating;
    facts.tried_plaintext = c.tried_plaintext;
    facts.successes = c.successes;
    auto from = c.failed > 0 ? c.first_attempt : c.started;
    facts.seconds = static_cast<unsigned>(std::chrono::duration_cast<std::chrono::seconds>(now - from).count());
    log_line(c, format_end(c.reason, facts));
}

Task<void> Front::talk(Connection& c, bool ssl) {
    if (ssl) {
        if (!tls) {
            c.reason = "Disconnected: TLS is not configured";
            co_return;
        }
        c.log.tls_handshaking = true;
        auto shaken = co_await c.stream.start_tls_server(*tls, kHandshakeTime);
        if (!shaken) {
            c.reason = "Disconnected: Connection closed: TLS handshake failed: " + shaken.error().text;
            co_return;
        }
        c.log.tls_handshaking = false;
        c.log.tls = c.log.secured = true;
        c.log.tls_protocol = c.stream.tls()->protocol;
        c.log.tls_cipher = c.stream.tls()->cipher;
    }
    // The capabilities name authd's mechanisms: a client that comes before authd waits a moment, and is then told that there are none.
    auto connected = co_await auth_->connect(Millis(5000));
    if (!connected && connected.error().code == ECANCELED) co_return;
    FrontClient client(*this, c);
    co_await protocol.front(client);
    if (c.logged_in || !c.stream.open()) co_return;
    // A cancelled session says its last words on its own source.
    CancelSource last;
    auto flushing = c.stream.flush(Millis(2000));
    flushing.with_cancel(last);
    (void)co_await flushing;
}

}   // namespace postcot::login
