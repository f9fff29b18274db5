// Addresses, listeners and outgoing connections.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot {

struct SockAddr {
    sockaddr_storage storage{};
    socklen_t length = 0;

    static Expected<SockAddr> ip(std::string_view address, uint16_t port);   // "127.0.0.1", "::1", no brackets
    static Expected<SockAddr> unix_path(std::string_view path);
    std::string address() const;   // "127.0.0.1", "2001:db8::1", "unix"
    uint16_t port() const;         // host order; 0 for Unix sockets
    bool is_unix() const { return storage.ss_family == AF_UNIX; }
    bool is_ipv6() const { return storage.ss_family == AF_INET6; }
};

struct Accepted {
    UniqueFd fd;
    SockAddr peer;
    SockAddr local;
};

// A listening socket that may be shared by processes (each accepts; the kernel deals).
class Listener {
  public:
    explicit Listener(UniqueFd listening);
    Task<Expected<Accepted>> accept();
    int fd() const { return fd_.get(); }

  private:
    UniqueFd fd_;
};

// Bound and listening, FD_CLOEXEC, SO_REUSEADDR; IPV6_V6ONLY for IPv6. An old Unix socket of that path is replaced.
// mode/uid/gid apply to Unix sockets (uid/gid -1: leave).
Expected<UniqueFd> listen_tcp(const SockAddr& address, int backlog = 512);
Expected<UniqueFd> listen_unix(const std::string& path, int mode = 0600, int uid = -1, int gid = -1, int backlog = 512);
// systemd socket activation: descriptors from LISTEN_FDS with their names; empty when there are none. Unsets the environment.
struct ActivatedSocket {
    UniqueFd fd;
    std::string name;
    SockAddr local;
};
std::vector<ActivatedSocket> activated_sockets();

Task<Expected<UniqueFd>> connect_to(SockAddr address, Millis timeout, const SockAddr* bind = nullptr);

// Waits until the descriptor is readable or writable.
Task<Expected<void>> wait_readable(int fd, Millis timeout = kNoTimeout);
Task<Expected<void>> wait_writable(int fd, Millis timeout = kNoTimeout);

// Connected pair of Unix stream sockets.
Expected<std::pair<UniqueFd, UniqueFd>> socket_pair();
// SO_PEERCRED of a Unix socket.
struct PeerCredentials {
    int pid;
    unsigned uid;
    unsigned gid;
};
Expected<PeerCredentials> peer_credentials(int fd);

}   // namespace postcot
