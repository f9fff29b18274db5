// authd's server process: accepts on the sockets that the parent hands over and runs a session per connection.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "authd/authenticator.h"
#include "authd/failure_queue.h"
#include "authd/passed_login.h"
#include "authd/worker/parent_messages.h"
#include "libproto/ipc/channel.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot::authd {

class ClientSession;

class Server {
  public:
    Server(const Settings& settings, std::vector<sasl::Mechanism> mechanisms, Authenticator& authenticator);
    ~Server();

    void listen(Listen socket, UniqueFd fd);
    // Another server takes over: gives it all logins that are not fetched, and those to come.
    void pass_logins_on(std::function<void(const PassedLogin&)> give);
    // Stops accepting; sessions end when they have nothing in flight, all of them within `patience`, which may be
    // shortened meanwhile. `cut` ends what cannot be cancelled.
    Task<void> drain(const Millis& patience, std::function<void()> cut);

    // For sessions.
    const Settings& settings() const { return settings_; }
    const std::vector<sasl::Mechanism>& mechanisms() const { return mechanisms_; }
    Authenticator& authenticator() { return authenticator_; }
    FailureQueue& failures() { return failures_; }
    bool draining() const { return draining_; }
    uint32_t next_connection_id() { return ++last_connection_id_; }
    void add_session(ClientSession& session) { open_.insert(&session); }
    void remove_session(ClientSession& session) { open_.erase(&session); }
    void add_client(uint32_t pid, ClientSession& session);
    void remove_client(uint32_t pid, ClientSession& session);
    // The session of that process with that cookie. nullptr: `why` is Dovecot's log text.
    ClientSession* find_client(uint32_t pid, const std::string& cookie, std::string& why);
    bool passes_on() const { return give_ != nullptr; }
    // A login of ours, or one from the server before: kept, and given on when another has taken over.
    void pass_on(PassedLogin login);
    PassedLogins& passed_logins() { return passed_; }

  private:
    Task<void> accept_loop(Listen socket, UniqueFd fd);
    Task<void> run_session(Listen socket, UniqueFd fd);

    const Settings& settings_;
    std::vector<sasl::Mechanism> mechanisms_;
    Authenticator& authenticator_;
    Scope accepting_;
    Scope sessions_;
    Scope helpers_;
    FailureQueue failures_;
    bool draining_ = false;
    bool full_ = false;   // client_limit was reached and logged
    uint32_t last_connection_id_ = 0;
    std::set<ClientSession*> open_;
    std::multimap<uint32_t, ClientSession*> clients_;
    PassedLogins passed_;
    std::function<void(const PassedLogin&)> give_;
};

// The process: returns its exit status. `channel` leads to the parent.
int run_server(const Settings& settings, UniqueFd channel);

}   // namespace postcot::authd
