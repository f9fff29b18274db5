// Inside libproto/login: the parent. The only part that runs as root; reads framed messages of its own children and authd's answers, no more.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "libproto/ipc/auth_master.h"
#include "libproto/ipc/channel.h"
#include "libproto/login/listeners.h"
#include "libproto/login/messages.h"
#include "libproto/login/service.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/supervisor.h"

namespace postcot::login {

class Parent {
  public:
    Parent(const Protocol& protocol, std::string config_root, config::DovecotConf conf);
    Expected<void> prepare();   // folders and sockets
    int run();

  private:
    struct FrontChild {
        pid_t pid = 0;
        std::unique_ptr<ipc::Channel> channel;
    };
    struct SessionConnection {
        std::string user, remote_address;
    };
    struct SessionChild {
        pid_t pid = 0;
        std::unique_ptr<ipc::Channel> channel;
        std::map<uint64_t, SessionConnection> connections;
    };
    using SessionKey = std::tuple<uint32_t, uint32_t, size_t>;   // uid, gid, slot of the pool

    // fronts.cc
    void keep_front();
    Task<void> read_front(std::shared_ptr<FrontChild> front);
    Task<void> connect_auth(std::shared_ptr<FrontChild> front, uint32_t sequence);

    Task<void> hand_over(std::shared_ptr<FrontChild> front, HandOver message, UniqueFd fd);
    Task<HandedOver> place(HandOver message, UniqueFd fd);
    Expected<void> check_user(const ipc::UserReply& reply, LoggedIn& facts) const;
    Expected<std::shared_ptr<SessionChild>> session_for(const LoggedIn& facts);
    Task<void> session_life(std::shared_ptr<SessionChild> child);
    void forget(const SessionConnection& connection);

    Task<void> answer_who(Listener& listener);
    std::string who() const;

    void reload();
    void renew_children();
    void stop();
    Task<void> whole();

    const Protocol& protocol_;
    std::string config_root_;
    config::DovecotConf conf_;
    Loop loop_;
    Scope scope_;   // authd, who
    Scope sessions_;
    std::vector<ServiceListener> listeners_;
    std::unique_ptr<Listener> who_listener_;
    std::unique_ptr<ipc::AuthMaster> master_;
    Supervisor front_children_{log::Dialect::kDovecot};
    std::map<SessionKey, std::shared_ptr<SessionChild>> by_key_;
    std::list<std::shared_ptr<SessionChild>> session_children_;
    std::map<std::pair<std::string, std::string>, unsigned> userip_;   // connections of (user, remote address)
    Event stopped_;
    size_t front_count_ = 1;
    size_t pool_ = 1;
    uint64_t next_connection_ = 0;
    bool stopping_ = false;
};

}   // namespace postcot::login
