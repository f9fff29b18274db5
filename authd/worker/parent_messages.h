// Between authd's parent (root) and its server process (dovecot): frames of ipc/channel.h.
#pragma once

#include <cstdint>
#include <string>

#include "authd/settings.h"
#include "libproto/ipc/codec.h"

namespace postcot::authd {

// Server -> parent: everything is read and the sandbox entered.
struct Ready {
    static constexpr uint16_t kType = 1;
    void encode(ipc::Writer&) const {}
    static Ready decode(ipc::Reader&) { return {}; }
};

// Parent -> server, with the listening descriptor.
struct Listen {
    static constexpr uint16_t kType = 2;
    SocketSettings::Kind kind = SocketSettings::Kind::kClient;
    std::string path;
    uint32_t mode = 0;
    uint32_t owner = 0;   // uid of the socket file

    void encode(ipc::Writer& w) const {
        w.u8(static_cast<uint8_t>(kind));
        w.str(path);
        w.u32(mode);
        w.u32(owner);
    }
    static Listen decode(ipc::Reader& r) {
        Listen message;
        uint8_t kind = r.u8();
        if (kind <= static_cast<uint8_t>(SocketSettings::Kind::kUserdb))
            message.kind = static_cast<SocketSettings::Kind>(kind);
        message.path = r.str();
        message.mode = r.u32();
        message.owner = r.u32();
        return message;
    }
};

// Server -> parent: one more root worker, please. The answer carries its socket; pid 0: it could not be forked.
struct SpawnWorker {
    static constexpr uint16_t kType = 3;
    void encode(ipc::Writer&) const {}
    static SpawnWorker decode(ipc::Reader&) { return {}; }
};
struct WorkerSpawned {
    static constexpr uint16_t kType = 4;
    uint32_t pid = 0;
    void encode(ipc::Writer& w) const { w.u32(pid); }
    static WorkerSpawned decode(ipc::Reader& r) {
        WorkerSpawned message;
        message.pid = r.u32();
        return message;
    }
};

// Server -> parent: this worker of mine does not answer.
struct KillWorker {
    static constexpr uint16_t kType = 5;
    uint32_t pid = 0;
    void encode(ipc::Writer& w) const { w.u32(pid); }
    static KillWorker decode(ipc::Reader& r) {
        KillWorker message;
        message.pid = r.u32();
        return message;
    }
};

}   // namespace postcot::authd
