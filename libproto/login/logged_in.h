// What a session process is told about a connection: the facts of its login, and the descriptor.
#pragma once

#include <cstdint>
#include <string>

#include "libproto/ipc/codec.h"
#include "libproto/runtime/fd.h"
#include "libproto/sasl/auth_protocol.h"

namespace postcot::login {

struct LoggedIn {
    // From the userdb, through the parent.
    std::string user;
    std::string home;
    std::string mail;   // mail_location of this user; empty: the setting
    uint32_t uid = 0;
    uint32_t gid = 0;
    sasl::Fields fields;   // everything the userdb said

    // From the front.
    std::string session_id;   // Dovecot's: in every log line of the connection
    std::string method;       // "PLAIN"
    std::string remote_address, local_address;
    uint16_t remote_port = 0, local_port = 0;
    bool tls = false;
    bool secured = false;
    std::string payload;   // the protocol's own: IMAP's tag and what ID said
    std::string unread;    // what the client sent after its login command

    UniqueFd fd;   // the client's socket, or the front's relay when it keeps TLS

    std::string log_prefix(std::string_view service) const;   // "imap(user)<pid><session>: "

    void encode(ipc::Writer& w) const;   // all but the descriptor
    static LoggedIn decode(ipc::Reader& r);
};

}   // namespace postcot::login
