// Inside libproto/login: what fronts, parent and session processes say to each other over ipc::Channel.
#pragma once

#include <cstdint>
#include <string>

#include "libproto/ipc/codec.h"
#include "libproto/login/logged_in.h"

namespace postcot::login {

// front -> parent: a connection to authd, which the front cannot reach from its chroot.
struct AuthConnect {
    static constexpr uint16_t kType = 1;
    uint32_t sequence = 0;
    void encode(ipc::Writer& w) const;
    static AuthConnect decode(ipc::Reader& r);
};
// parent -> front: with the descriptor, or an error.
struct AuthConnected {
    static constexpr uint16_t kType = 2;
    uint32_t sequence = 0;
    std::string error;
    void encode(ipc::Writer& w) const;
    static AuthConnected decode(ipc::Reader& r);
};

// front -> parent: authd said yes; with the descriptor for the session process. The parent trusts none of it: who the
// user is comes from authd, by these three numbers.
struct HandOver {
    static constexpr uint16_t kType = 3;
    uint32_t sequence = 0;
    uint32_t client_pid = 0;
    uint32_t request_id = 0;
    std::string cookie;
    LoggedIn facts;   // the front's half
    void encode(ipc::Writer& w) const;
    static HandOver decode(ipc::Reader& r);
};
// parent -> front.
struct HandedOver {
    static constexpr uint16_t kType = 4;
    uint32_t sequence = 0;
    uint32_t pid = 0;   // 0: refused
    std::string user;   // as the userdb calls him
    std::string code;   // refused: response code
    std::string text;   // refused: for the client
    void encode(ipc::Writer& w) const;
    static HandedOver decode(ipc::Reader& r);
};

// parent -> session process, with the descriptor.
struct Serve {
    static constexpr uint16_t kType = 5;
    uint64_t connection = 0;
    LoggedIn facts;
    void encode(ipc::Writer& w) const;
    static Serve decode(ipc::Reader& r);
};
// session process -> parent.
struct Served {
    static constexpr uint16_t kType = 6;
    uint64_t connection = 0;
    void encode(ipc::Writer& w) const;
    static Served decode(ipc::Reader& r);
};
// session process -> parent: idle for long. The parent closes the channel unless a connection is on its way.
struct Retire {
    static constexpr uint16_t kType = 7;
    void encode(ipc::Writer&) const {}
    static Retire decode(ipc::Reader&) { return {}; }
};

}   // namespace postcot::login
