// One connection of a master (imapd's and pop3d's parents, doveadm) or of a userdb client (delivery, doveadm user).
#pragma once

#include <cstdint>
#include <optional>

#include "authd/line_stream.h"
#include "authd/server.h"

namespace postcot::authd {

class MasterSession {
  public:
    // `only_lookups`: REQUEST is refused (userdb sockets). `only_uid`: where anyone may connect, he learns only of users with his own uid.
    MasterSession(Server& server, UniqueFd fd, bool only_lookups, std::optional<uint32_t> only_uid);
    Task<void> run();

  private:
    Task<void> answer(sasl::MasterLine line);
    Task<void> on_request(sasl::MasterLine line);
    Task<void> on_user(sasl::MasterLine line);
    Task<void> on_pass(sasl::MasterLine line);
    Task<void> on_list(sasl::MasterLine line);
    Task<void> say_fail(uint32_t id, sasl::Fields fields = {});
    Task<void> say_user(uint32_t id, const Request& request, Result result, sasl::Fields fields);

    Server& server_;
    LineStream stream_;
    Scope scope_;
    bool only_lookups_;
    std::optional<uint32_t> only_uid_;
    size_t running_ = 0;
    Event room_;
};

}   // namespace postcot::authd
