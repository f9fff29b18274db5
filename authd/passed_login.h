// A login that was answered with OK and not fetched by a master yet, on its way from a server that a reload has replaced to its successor: clients and
// masters move to the new one at moments of their own, so the new one has to know all logins.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "authd/request.h"
#include "libproto/ipc/codec.h"
#include "libproto/runtime/loop.h"

namespace postcot::authd {

// Server -> parent -> the server that is current. What a userdb lookup needs of a Request goes with it.
struct PassedLogin {
    static constexpr uint16_t kType = 6;
    uint32_t client_pid = 0;
    uint32_t request_id = 0;
    std::string cookie;   // of the client's connection
    std::string mechanism, user, original_user, realm;
    sasl::Fields parameters, reply, userdb;

    PassedLogin() = default;
    PassedLogin(uint32_t client_pid, uint32_t request_id, std::string cookie, const Request& request);
    std::unique_ptr<Request> request(const Settings& settings) const;

    void encode(ipc::Writer& w) const;
    static PassedLogin decode(ipc::Reader& r);
};

// Those that came from the server before; in that one, a copy of what it has given away, for masters that are still connected to it.
class PassedLogins {
  public:
    void add(PassedLogin login);
    // nullptr: there is no such login. `patience`: one may be on its way, since its OK can reach the master first.
    Task<std::unique_ptr<Request>> take(const Settings& settings, uint32_t client_pid, uint32_t request_id,
                                        std::string cookie, Millis patience);
    // Whether some are not older than that and not fetched.
    bool younger_than(Millis age) const;
    template <class F>
    void for_each(F what) const {
        for (const auto& [key, entry] : logins_) what(entry.login);
    }

  private:
    using Key = std::tuple<uint32_t, uint32_t, std::string>;
    struct Entry {
        PassedLogin login;
        std::chrono::steady_clock::time_point since;
    };
    std::map<Key, Entry> logins_;
    Event arrived_;
};

}   // namespace postcot::authd
