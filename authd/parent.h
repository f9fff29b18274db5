// authd's parent process: keeps the privileges, does nothing else with them than to bind sockets, to fork root workers and to start the server again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "authd/settings.h"
#include "libproto/error.h"
#include "libproto/ipc/channel.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot::authd {

class Parent {
  public:
    // `load` reads the configuration again, for SIGHUP.
    Parent(Settings settings, std::function<Expected<Settings>()> load);
    ~Parent();

    // Until SIGTERM or SIGINT. The exit status.
    Task<int> run();

  private:
    // One server process and what belongs to it.
    struct Generation {
        explicit Generation(UniqueFd socket) : channel(std::move(socket)) {}
        std::shared_ptr<const Settings> settings;   // also of those that still drain
        ipc::Channel channel;
        pid_t pid = -1;
        bool ready = false;
        bool retired = false;
        std::set<uint32_t> workers;   // pids of its root workers
    };
    struct Bound {
        SocketSettings settings;
        UniqueFd fd;
        uint32_t owner = 0;
        bool activated = false;   // systemd's: not ours to unlink
    };

    Expected<void> make_directories(const Settings& settings);
    Expected<Bound> bind(const SocketSettings& socket);
    void bind_all();   // what is not bound yet; sockets no longer listed are closed and removed
    Expected<void> start_server(const std::shared_ptr<const Settings>& settings);
    Task<void> serve(std::shared_ptr<Generation> generation);
    void offer(Generation& generation, const Bound& bound);
    pid_t spawn_worker(Generation& generation);   // 0: could not
    Task<void> reap_worker(std::shared_ptr<Generation> generation, pid_t pid);
    Task<void> retry_missing();
    void reload();

    std::shared_ptr<const Settings> settings_;
    std::function<Expected<Settings>()> load_;
    std::map<std::string, Bound> bound_;
    std::map<std::string, UniqueFd> activated_;    // from systemd, by path, until bound
    std::map<std::string, std::string> missing_;   // path -> why, logged once
    std::shared_ptr<Generation> current_;
    std::vector<std::shared_ptr<Generation>> generations_;
    Scope scope_;
    Event changed_;
    bool stopping_ = false;
    bool ever_ready_ = false;
    int exit_status_ = 0;
};

}   // namespace postcot::authd
