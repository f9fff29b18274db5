#include "queued/manager_process.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libproto/ipc/channel.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/sandbox.h"
#include "queued/control/control_server.h"
#include "queued/intake/intake_server.h"
#include "queued/intake/pickup.h"
#include "queued/manager/manager.h"
#include "queued/postfix_queue/hand_back.h"
#include "queued/postfix_queue/import.h"
#include "queued/spool_folders.h"
#include "queued/store/store.h"

namespace postcot::queued {

namespace {

constexpr Millis kStopPatience{20000};   // for deliveries under way at SIGTERM
constexpr int kLockPatience = 30;   // seconds: the manager before us may still be ending, when its parent was killed

struct Stop {
    Event event;
    bool at_once = false;   // nobody waits for us: deliveries under way are done again by the next manager
};

// Agents' channels as the parent starts them.
Task<void> take_agents(ipc::Channel& parent, QueueManager& manager, Stop& stop, Event& wake) {
    for (;;) {
        auto frame = co_await parent.receive();
        if (!frame) {
            if (frame.error().code != ECANCELED) {
                log::warning("the parent process is gone: stopping");
                stop.at_once = true;
                stop.event.set();
                wake.set();
            }
            co_return;
        }
        if (frame->fds.size() != 1) continue;
        ipc::Channel channel(std::move(frame->fds[0]));
        if (frame->type == kLocalAgentChannel) manager.local_agent().attach(std::move(channel));
        if (frame->type == kRemoteAgentChannel) manager.remote_agent().attach(std::move(channel));
    }
}

struct Sockets {
    UniqueFd intake, control, pickup;
    UniqueFd postfix;   // PostfixImport::running_postfix()
};

Task<int> serve(const std::string& config_root, UniqueFd parent_fd, Sockets sockets, Store& store,
                std::unique_ptr<ManagerConfig> config) {
    Stop stop;
    bool reload_wanted = false;
    Event wake;
    Loop::current().on_signal(SIGTERM, [&] {
        stop.event.set();
        wake.set();
    });
    Loop::current().on_signal(SIGINT, [&] {
        stop.event.set();
        wake.set();
    });
    Loop::current().on_signal(SIGHUP, [&] {
        reload_wanted = true;
        wake.set();
    });

    Scope writer;
    writer.spawn(store.commits().run());
    Scope scope;    // servers
    Scope agents;   // channels to agents
    UniqueFd parent_socket(::dup(parent_fd.get()));
    ipc::Channel parent(std::move(parent_fd));
    QueueManager manager(store, std::move(config), agents);
    IntakeServer intake(manager, scope, std::move(sockets.intake));
    Pickup pickup(manager, scope, std::move(sockets.pickup));
    ControlServer control(manager, pickup, scope, std::move(sockets.control));
    PostfixImport import(store, manager.settings().queue_directory, manager.settings().qmgr_ident,
                         PostfixImport::hooks_of(manager));
    import.recover();
    HandBackSettings hand_back;
    hand_back.directory = manager.settings().queue_directory;
    hand_back.ident = manager.settings().qmgr_ident;
    if (auto recovered = co_await HandBack(store, hand_back).recover(); !recovered) {
        log::fatal("queue: {}", recovered.error().text);
    }
    manager.start();
    scope.spawn(import.run(std::move(sockets.postfix)));
    agents.spawn(take_agents(parent, manager, stop, wake));
    scope.spawn(intake.run());
    scope.spawn(control.run());
    scope.spawn(pickup.listen());
    scope.spawn(pickup.run());
    if (::write(parent_socket.get(), "R", 1) != 1) log::warning("the parent process does not listen");
    // systemd watches the parent; it passes on that this loop turns.
    if (auto interval = watchdog_interval(); interval.count() > 0) {
        Loop::current().every(interval, [&parent_socket] {
            if (::send(parent_socket.get(), "W", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) log::debug("watchdog: no parent");
        });
    } else {
        parent_socket.reset();
    }

    while (!stop.event.is_set()) {
        auto woken = co_await wake.wait();
        if (!woken) break;
        wake.reset();
        if (!reload_wanted) continue;
        reload_wanted = false;
        auto fresh = Configuration::load(config_root);
        Expected<std::unique_ptr<ManagerConfig>> next =
            fresh ? ManagerConfig::load(fresh->main, fresh->master)
                  : Expected<std::unique_ptr<ManagerConfig>>(fail(fresh.error()));
        if (!next) {
            log::error("reload: {}: the old configuration stays", next.error().text);
            continue;
        }
        manager.reload(std::move(*next));
        manager.local_agent().stop();
        manager.remote_agent().stop();
        log::reopen();
    }

    // What was accepted is safe already; what is under way is given time to say how it ended.
    manager.stop();
    auto deadline = Loop::current().now() + (stop.at_once ? Millis(0) : kStopPatience);
    while (!manager.idle() && Loop::current().now() < deadline) {
        auto slept = co_await sleep_for(Millis(20));
        if (!slept) break;
    }
    scope.cancel();
    co_await scope.join();
    manager.local_agent().stop();
    manager.remote_agent().stop();
    agents.cancel();
    co_await agents.join();
    store.commits().stop();
    co_await writer.join();
    manager.checkpoint();
    co_return 0;
}

}   // namespace

int run_manager(const std::string& config_root, UniqueFd parent, Configuration configuration) {
    const config::MainCf& main = configuration.main;
    const std::string queue_directory = main.str("queue_directory");
    auto accounts = SpoolAccounts::find(main);
    if (!accounts) log::fatal("{}", accounts.error().text);
    if (auto made = prepare_folders(queue_directory, *accounts); !made) log::fatal("{}", made.error().text);
    // Who may connect is decided by the folders: private is mail_owner's, public is for setgid_group.
    auto listen = [&](const char* name, int mode) {
        auto fd = listen_unix(queue_directory + name, mode);
        if (!fd) log::fatal("listen on {}{}: {}", queue_directory, name, fd.error().text);
        return std::move(*fd);
    };
    Sockets sockets;
    sockets.intake = listen("/private/intake", 0666);
    sockets.control = listen("/public/control", 0666);
    sockets.pickup = listen("/public/pickup", 0666);
    sockets.postfix = PostfixImport::running_postfix(queue_directory);

    auto config = ManagerConfig::load(main, configuration.master);   // before the sandbox: tables may be root's alone
    if (!config) log::fatal("{}", config.error().text);

    Sandbox sandbox;
    if (accounts->root) sandbox.account = &accounts->owner;
    if (auto entered = enter_sandbox(sandbox); !entered) log::fatal("sandbox: {}", entered.error().text);
    ::umask(077);

    auto lock = lock_queue(queue_directory, kLockPatience);
    if (!lock) log::fatal("{}", lock.error().text);
    Loop loop;
    StoreOptions options;
    options.directory = queue_directory;
    Store store(Files::disk(), options);
    if (auto opened = store.open(); !opened) log::fatal("queue: {}", opened.error().text);
    return loop.run_until_complete(
        serve(config_root, std::move(parent), std::move(sockets), store, std::move(*config)));
}

}   // namespace postcot::queued
