// One connection of a client: smtpd, a login front, Postfix, doveadm auth test.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "authd/line_stream.h"
#include "authd/request.h"
#include "authd/server.h"

namespace postcot::authd {

class ClientSession {
  public:
    // `for_logins`: a MASTER REQUEST may follow each OK (login sockets).
    ClientSession(Server& server, UniqueFd fd, bool for_logins);
    ~ClientSession();

    Task<void> run();

    const std::string& cookie() const { return cookie_; }
    // A login that was answered with OK and not fetched yet; gives it away. nullptr: there is none.
    std::unique_ptr<Request> take_login(uint32_t request_id);
    // From now on its logins are given to Server::pass_on(): another server takes over.
    void pass_logins_on();
    bool idle() const { return running_.empty() && logins_.empty(); }
    void close() { stream_.close(); }

  private:
    // An AUTH that is not answered yet; its task and the reader share it.
    struct Running {
        Event more;   // a CONT or CANCEL arrived
        std::optional<sasl::ContinueCommand> continuation;
        bool wants_continuation = false;
        bool unexpected = false;
        bool cancelled = false;
    };
    struct Login {
        std::unique_ptr<Request> request;
        std::chrono::steady_clock::time_point since;
    };

    Task<void> say(std::string text);
    Expected<void> on_line(sasl::ClientLine line);
    Task<void> authenticate(sasl::AuthCommand command, std::shared_ptr<Running> running);
    Task<void> converse(sasl::AuthCommand command, std::shared_ptr<Running> running);
    Task<void> say_failed(uint32_t id, const Request& request, Result result, sasl::Fields more);
    void keep_login(uint32_t id, std::unique_ptr<Request> request);
    void forget_old_logins();

    Server& server_;
    LineStream stream_;
    Scope scope_;
    bool for_logins_;
    bool version_known_ = false;
    uint32_t pid_ = 0;
    uint32_t connection_id_;
    std::string cookie_;
    std::map<uint32_t, std::shared_ptr<Running>> running_;
    std::map<uint32_t, Login> logins_;
};

}   // namespace postcot::authd
