// Inside libproto/login: a front process.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libproto/ipc/auth_client.h"
#include "libproto/ipc/channel.h"
#include "libproto/login/listeners.h"
#include "libproto/login/login_log.h"
#include "libproto/login/messages.h"
#include "libproto/login/service.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/tls.h"

namespace postcot::login {

// A connection that a front has.
struct Connection {
    Connection(UniqueFd fd, CancelSource* parent) : stream(std::move(fd)), cancel(parent) {}
    Stream stream;
    CancelSource cancel;
    SockAddr peer, local;
    LoginLogFacts log;
    std::chrono::steady_clock::time_point started, deadline, first_attempt;
    unsigned failed = 0;
    unsigned successes = 0;
    bool authenticating = false;
    bool tried_plaintext = false;
    bool logged_in = false;
    std::string reason;
    std::list<Connection*>::iterator place;   // among those before login
};

class Front {
  public:
    Front(const Protocol& protocol, config::DovecotConf conf, int channel_fd,
          const std::vector<ServiceListener>& listeners);
    int run();   // the process's exit status

    // A request to the parent and its answer; descriptors ride along.
    Task<Expected<ipc::Frame>> ask(uint32_t sequence, ipc::Frame frame);
    uint32_t next_sequence() { return ++sequence_; }
    void log_line(const Connection& connection, std::string_view message) const;

    const Protocol& protocol;
    const config::DovecotConf conf;
    std::shared_ptr<TlsContext> tls;   // nullptr: ssl = no
    std::string ssl_mode;              // "no", "yes", "required"
    bool disable_plaintext = true;
    ipc::AuthClient& auth() { return *auth_; }
    void left_login(Connection& connection);   // it is a session's now

  private:
    Expected<void> load_tls();
    Expected<void> confine();
    Task<void> read_parent();
    Task<void> accept_loop(Listener& listener, bool ssl);
    Task<void> serve(std::unique_ptr<Connection> connection, bool ssl);
    Task<void> talk(Connection& connection, bool ssl);
    Task<Expected<UniqueFd>> connect_auth();
    void stop();

    struct Waiter {
        Event event;
        Expected<ipc::Frame> frame = fail(ECONNRESET, "the parent is gone");
    };
    Loop& loop_ = Loop::current();
    Scope scope_;       // everything
    Scope accepting_;   // ends at SIGTERM
    Scope sessions_;    // ends with the last connection
    ipc::Channel parent_;
    std::unique_ptr<ipc::AuthClient> auth_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<bool> listener_ssl_;
    std::map<uint32_t, Waiter*> waiting_;
    std::list<Connection*> before_login_;   // oldest first
    size_t client_limit_ = 1000;
    uint32_t sequence_ = 0;
    bool stopping_ = false;
};

}   // namespace postcot::login
