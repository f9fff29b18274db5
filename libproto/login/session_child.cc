#include "libproto/login/session_child.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>

#include "libproto/ipc/channel.h"
#include "libproto/login/messages.h"
#include "libproto/login/user_log.h"
#include "libproto/runtime/sandbox.h"

namespace postcot::login {

namespace {

class SessionChild {
  public:
    SessionChild(const Protocol& protocol, const config::DovecotConf& conf, int channel_fd)
        : channel_(UniqueFd(channel_fd)), process_(protocol.make_session_process(conf)) {
        grace_ = conf.time("default_idle_kill");
        if (const auto* service = conf.section("service", protocol.name)) {
            if (service->is_set("idle_kill")) grace_ = service->time("idle_kill");
        }
        if (grace_ <= Millis(0)) grace_ = Millis(60'000);
    }

    void run() {
        Loop& loop = Loop::current();
        loop.on_signal(SIGTERM, [this] {
            receiving_.cancel();
            sessions_.cancel();
        });
        loop.on_signal(SIGINT, [] {});
        loop.on_signal(SIGHUP, [] {});
        loop.on_signal(SIGUSR1, [] {});
        loop.run_until_complete(whole());
    }

  private:
    Task<void> whole() {
        Scope scope;
        scope.spawn(retire_when_idle());
        for (;;) {
            auto receiving = channel_.receive();
            receiving.with_cancel(receiving_);
            auto frame = co_await receiving;
            if (!frame) break;   // the parent agreed to our retirement, or is gone: serve to the end what is here
            auto message = ipc::Channel::unpack<Serve>(*frame);
            if (!message || frame->fds.empty()) continue;
            message->facts.fd = std::move(frame->fds[0]);
            ++active_;
            sessions_.spawn(serve(message->connection, std::move(message->facts)));
        }
        co_await sessions_.join();
        scope.cancel();
        co_await scope.join();
        co_await process_->finish();
    }

    Task<void> serve(uint64_t connection, LoggedIn facts) {
        co_await process_->serve(std::move(facts));
        --active_;
        quiet_since_ = std::chrono::steady_clock::now();
        channel_.post(ipc::Channel::pack(served(connection)));
    }
    static Served served(uint64_t connection) {
        Served out;
        out.connection = connection;
        return out;
    }

    Task<void> retire_when_idle() {
        for (;;) {
            auto slept = co_await sleep_for(std::min(grace_, Millis(10'000)));
            if (!slept) co_return;
            if (active_ == 0 && std::chrono::steady_clock::now() - quiet_since_ >= grace_)
                channel_.post(ipc::Channel::pack(Retire{}));
        }
    }

    ipc::Channel channel_;
    std::unique_ptr<SessionProcess> process_;
    CancelSource receiving_;
    Scope sessions_;
    Millis grace_{60'000};
    size_t active_ = 0;
    std::chrono::steady_clock::time_point quiet_since_ = std::chrono::steady_clock::now();
};

std::vector<std::string> words(const std::string& text) {
    std::vector<std::string> out;
    std::string word;
    for (char c : text + ' ') {
        if (c != ' ' && c != ',') {
            word += c;
        } else if (!word.empty()) {
            out.push_back(std::move(word));
            word.clear();
        }
    }
    return out;
}

}   // namespace

int run_session_child(const Protocol& protocol, const config::DovecotConf& conf, int channel_fd,
                      const LoggedIn& first) {
    set_process_prefix(protocol.name + ": ");
    umask(0077);
    Account account;
    account.uid = first.uid;
    account.gid = first.gid;
    account.name = first.user;
    account.home = first.home;
    Sandbox sandbox;
    if (running_as_root()) {
        sandbox.account = &account;
        sandbox.extra_groups = words(conf.str("mail_access_groups"));
    }
    sandbox.may_connect = false;
    auto confined = enter_sandbox(sandbox);
    if (!confined) {
        user_log(first.log_prefix(protocol.name), log::Level::kError, confined.error().text);
        return 1;
    }
    SessionChild child(protocol, conf, channel_fd);
    child.run();
    return 0;
}

}   // namespace postcot::login
