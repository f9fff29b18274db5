#include "libproto/runtime/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "libproto/runtime/reactor.h"

namespace postcot {

namespace {

Expected<void> wait_io(int code, const char* what) {
    if (code) return fail_errno(code, what);
    return {};
}

SockAddr local_name(int fd) {
    SockAddr address;
    address.length = sizeof address.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) < 0) address.length = 0;
    return address;
}

const sockaddr* raw(const SockAddr& address) { return reinterpret_cast<const sockaddr*>(&address.storage); }

void set_option(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

}   // namespace

Expected<SockAddr> SockAddr::ip(std::string_view address, uint16_t port) {
    SockAddr result;
    std::string text(address);
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&result.storage, &v4, sizeof v4);
        result.length = sizeof v4;
        return result;
    }
    if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        std::memcpy(&result.storage, &v6, sizeof v6);
        result.length = sizeof v6;
        return result;
    }
    return fail(EINVAL, "not an IP address: " + text);
}

Expected<SockAddr> SockAddr::unix_path(std::string_view path) {
    sockaddr_un address{};
    if (path.empty()) return fail(EINVAL, "empty socket path");
    if (path.size() >= sizeof address.sun_path) return fail_errno(ENAMETOOLONG, std::string(path));
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    SockAddr result;
    std::memcpy(&result.storage, &address, sizeof address);
    result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return result;
}

std::string SockAddr::address() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (storage.ss_family == AF_INET) {
        ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, text, sizeof text);
        return text;
    }
    if (storage.ss_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            ::inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof text);
        } else {
            ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        }
        return text;
    }
    return "unix";
}

uint16_t SockAddr::port() const {
    if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
    if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
    return 0;
}

// ---- waits

Task<Expected<void>> wait_readable(int fd, Millis timeout) {
    detail::IoWait wait(fd, EPOLLIN | EPOLLRDHUP, timeout);
    int code = co_await wait;
    co_return wait_io(code, "wait for input");
}

Task<Expected<void>> wait_writable(int fd, Millis timeout) {
    detail::IoWait wait(fd, EPOLLOUT, timeout);
    int code = co_await wait;
    co_return wait_io(code, "wait for output");
}

// ---- listening

Listener::Listener(UniqueFd listening) : fd_(std::move(listening)) {
    int flags = ::fcntl(fd_.get(), F_GETFL);
    if (flags >= 0) ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
}

Task<Expected<Accepted>> Listener::accept() {
    CancelSource* source = co_await current_cancel();
    for (;;) {
        if (source && source->cancelled()) co_return fail_errno(source->code(), "accept");
        Accepted accepted;
        accepted.peer.length = sizeof accepted.peer.storage;
        int fd = ::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&accepted.peer.storage), &accepted.peer.length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted.fd = UniqueFd(fd);
            accepted.local = local_name(fd);
            if (!accepted.local.is_unix()) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
            co_return accepted;
        }
        // accept(2): errors of a connection that died while it waited are not ours.
        switch (errno) {
            case EINTR:
            case ECONNABORTED:
            case EPROTO:
            case ENETDOWN:
            case ENOPROTOOPT:
            case EHOSTDOWN:
            case EHOSTUNREACH:
            case EOPNOTSUPP:
            case ENETUNREACH: continue;
            case EAGAIN: {
                // Workers share the socket: wake one of them, not all.
                detail::IoWait wait(fd_.get(), EPOLLIN, kNoTimeout, true);
                int code = co_await wait;
                if (code) co_return fail_errno(code, "accept");
                continue;
            }
            default: co_return fail_errno(errno, "accept");
        }
    }
}

Expected<UniqueFd> listen_tcp(const SockAddr& address, int backlog) {
    UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "socket");
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (address.is_ipv6()) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    auto name = [&] { return "[" + address.address() + "]:" + std::to_string(address.port()); };
    if (::bind(fd.get(), raw(address), address.length) < 0) return fail_errno(errno, "bind " + name());
    if (::listen(fd.get(), backlog) < 0) return fail_errno(errno, "listen " + name());
    return fd;
}

Expected<UniqueFd> listen_unix(const std::string& path, int mode, int uid, int gid, int backlog) {
    auto address = SockAddr::unix_path(path);
    if (!address) return fail(address.error());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "socket");
    struct stat old {};
    if (::lstat(path.c_str(), &old) == 0) {
        if (!S_ISSOCK(old.st_mode)) return fail(EEXIST, path + ": exists and is not a socket");
        ::unlink(path.c_str());
    }
    if (::bind(fd.get(), raw(*address), address->length) < 0) return fail_errno(errno, "bind " + path);
    // Nobody can connect before listen(2): no window with the wrong owner or mode.
    if ((uid >= 0 || gid >= 0) && ::chown(path.c_str(), static_cast<uid_t>(uid), static_cast<gid_t>(gid)) < 0) {
        return fail_errno(errno, "chown " + path);
    }
    if (::chmod(path.c_str(), static_cast<mode_t>(mode)) < 0) return fail_errno(errno, "chmod " + path);
    if (::listen(fd.get(), backlog) < 0) return fail_errno(errno, "listen " + path);
    return fd;
}

std::vector<ActivatedSocket> activated_sockets() {
    std::vector<ActivatedSocket> sockets;
    char** names = nullptr;
    int count = ::sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
        ActivatedSocket socket;
        int fd = SD_LISTEN_FDS_START + i;
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        int flags = ::fcntl(fd, F_GETFL);
        ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        socket.fd = UniqueFd(fd);
        socket.local = local_name(fd);
        if (names && names[i]) socket.name = names[i];
        sockets.push_back(std::move(socket));
    }
    if (names) {
        for (char** name = names; *name; ++name) std::free(*name);
        std::free(static_cast<void*>(names));
    }
    return sockets;
}

// ---- connecting

Task<Expected<UniqueFd>> connect_to(SockAddr address, Millis timeout, const SockAddr* bind) {
    UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) co_return fail_errno(errno, "socket");
    if (bind && bind->length > 0 && ::bind(fd.get(), raw(*bind), bind->length) < 0) {
        co_return fail_errno(errno, "bind " + bind->address());
    }
    uint64_t deadline = timeout < Millis(0) ? 0 : detail::Reactor::now() + static_cast<uint64_t>(timeout.count());
    while (::connect(fd.get(), raw(address), address.length) < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN && address.is_unix()) {
            // unix(7): the listener's backlog is full and there is nothing to poll for.
            if (deadline && detail::Reactor::now() >= deadline) co_return fail_errno(ETIMEDOUT, "connect");
            auto slept = co_await sleep_for(Millis(5));
            if (!slept) co_return fail(std::move(slept.error()));
            continue;
        }
        if (errno != EINPROGRESS) co_return fail_errno(errno, "connect");
        auto ready = co_await wait_writable(fd.get(), timeout);
        if (!ready) co_return fail_errno(ready.error().code, "connect");
        int error = 0;
        socklen_t length = sizeof error;
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) co_return fail_errno(error, "connect");
        break;
    }
    if (!address.is_unix()) set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    co_return fd;
}

Expected<std::pair<UniqueFd, UniqueFd>> socket_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        return fail_errno(errno, "socketpair");
    }
    return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Expected<PeerCredentials> peer_credentials(int fd) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) {
        return fail_errno(errno, "SO_PEERCRED");
    }
    return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

}   // namespace postcot
