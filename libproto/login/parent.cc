#include "libproto/login/parent.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <thread>

#include "libproto/ipc/who.h"
#include "libproto/login/session_child.h"
#include "libproto/login/tls_context.h"
#include "libproto/login/user_log.h"
#include "libproto/runtime/sandbox.h"
#include "libproto/runtime/subprocess.h"

namespace postcot::login {

namespace {
constexpr Millis kStopPatience{10'000};
}   // namespace

Parent::Parent(const Protocol& protocol, std::string config_root, config::DovecotConf conf)
    : protocol_(protocol), config_root_(std::move(config_root)), conf_(std::move(conf)) {
    size_t processors = std::max(1u, std::thread::hardware_concurrency());
    front_count_ = std::min<size_t>(processors, 4);
    if (const auto* service = conf_.section("service", protocol_.name + "-login")) {
        if (int64_t wanted = service->integer("process_min_avail"); wanted > 0)
            front_count_ = static_cast<size_t>(std::min<int64_t>(wanted, 32));
    }
    pool_ = std::min<size_t>(processors, 4);
}

Expected<void> Parent::prepare() {
    std::string base = conf_.str("base_dir");
    for (const std::string& folder : {base, base + "/empty"}) {
        if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "mkdir(" + folder + ")");
    }
    if (auto tls = check_tls(conf_, protocol_.name); !tls) return tls;
    auto protocols = conf_.list("protocols");
    if (std::find(protocols.begin(), protocols.end(), protocol_.name) != protocols.end()) {
        auto listeners = open_listeners(conf_, protocol_.name + "-login", listeners_);
        if (!listeners) return fail(listeners.error());
        listeners_ = std::move(*listeners);
    } else {
        listeners_.clear();
    }
    return {};
}

int Parent::run() {
    auto who = listen_unix(conf_.str("base_dir") + "/" + ipc::who_socket_name(protocol_.name), 0600);
    if (!who) {
        log::error("{}", who.error().text);
    } else {
        who_listener_ = std::make_unique<Listener>(std::move(*who));
        scope_.spawn(answer_who(*who_listener_));
    }
    master_ = std::make_unique<ipc::AuthMaster>(scope_, conf_.str("base_dir") + "/auth-master");
    loop_.on_signal(SIGTERM, [this] { stop(); });
    loop_.on_signal(SIGINT, [this] { stop(); });
    loop_.on_signal(SIGHUP, [this] { reload(); });
    loop_.on_signal(SIGUSR1, [this] {
        log::reopen();
        if (!stopping_) renew_children();   // theirs is inherited: they could not open it again
    });
    for (size_t i = 0; i < front_count_; ++i) keep_front();
    notify_ready();
    loop_.run_until_complete(whole());
    return 0;
}

Task<void> Parent::whole() {
    (void)co_await stopped_.wait();
    // Sessions say BYE and end by themselves; what has not ended after a while is killed.
    Scope patience;
    auto killer = [](Parent& parent) -> Task<void> {
        auto slept = co_await sleep_for(kStopPatience);
        if (!slept) co_return;
        for (auto& child : parent.session_children_) kill(child->pid, SIGKILL);
    };
    patience.spawn(killer(*this));
    co_await front_children_.stop(SIGTERM, kStopPatience);
    co_await sessions_.join();
    patience.cancel();
    co_await patience.join();
    scope_.cancel();
    co_await scope_.join();
}

void Parent::stop() {
    if (stopping_) return;
    stopping_ = true;
    notify_stopping();
    listeners_.clear();
    for (auto& child : session_children_) kill(child->pid, SIGTERM);
    stopped_.set();
}

void Parent::reload() {
    if (stopping_) return;
    notify_reloading();
    auto fresh = config::DovecotConf::load(config_root_ + "/dovecot");
    if (!fresh) {
        log::error("{}; keeping the old configuration", fresh.error().text);
        notify_ready();
        return;
    }
    if (auto sessions = protocol_.check(*fresh); !sessions) {
        log::error("{}; keeping the old configuration", sessions.error().text);
        notify_ready();
        return;
    }
    config::DovecotConf old = conf_;
    conf_ = std::move(*fresh);
    auto prepared = prepare();
    if (!prepared) {
        log::error("{}; keeping the old configuration", prepared.error().text);
        conf_ = std::move(old);
        notify_ready();
        return;
    }
    for (const auto& warning : conf_.warnings()) log::warning("{}", warning);
    renew_children();
    log::info("reloaded the configuration");
    notify_ready();
}

// New fronts at once; the old ones stop accepting and end with their last TLS relay. Sessions keep the configuration they
// began with: a new connection of the same owner gets a new process.
void Parent::renew_children() {
    front_children_.renew(SIGINT);
    by_key_.clear();
}

void Parent::forget(const SessionConnection& connection) {
    auto found = userip_.find({connection.user, connection.remote_address});
    if (found != userip_.end() && --found->second == 0) userip_.erase(found);
}

std::string Parent::who() const {
    std::map<std::pair<std::string, std::string>, ipc::WhoEntry> entries;
    for (const auto& child : session_children_) {
        for (const auto& [id, connection] : child->connections) {
            auto& entry = entries[{connection.user, connection.remote_address}];
            if (entry.user.empty()) {
                entry.user = connection.user;
                entry.service = protocol_.name;
                entry.remote_address = connection.remote_address;
                entry.connections = 0;
            }
            ++entry.connections;
            auto pid = static_cast<uint32_t>(child->pid);
            if (std::find(entry.pids.begin(), entry.pids.end(), pid) == entry.pids.end()) entry.pids.push_back(pid);
        }
    }
    std::string out;
    for (const auto& [key, entry] : entries) out += ipc::write_who(entry);
    return out;
}

Task<void> Parent::answer_who(Listener& listener) {
    for (;;) {
        auto accepted = co_await listener.accept();
        if (!accepted) co_return;
        Stream stream(std::move(accepted->fd));
        stream.put(who());
        (void)co_await stream.flush(Millis(5000));
    }
}

}   // namespace postcot::login
