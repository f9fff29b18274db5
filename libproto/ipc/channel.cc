#include "libproto/ipc/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "libproto/runtime/reactor.h"

namespace postcot::ipc {

namespace {
constexpr size_t kHeader = 8;
constexpr size_t kHighWater = 256 * 1024;
constexpr size_t kReadBuffer = 64 * 1024;
constexpr size_t kMaxFdsWaiting = 1024;   // arrived, their frames not yet taken
constexpr uint32_t kInterest = EPOLLIN | EPOLLRDHUP;

uint32_t little32(const char* p) {
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; ++i) v |= static_cast<uint32_t>(static_cast<unsigned char>(p[i])) << (8 * i);
    return v;
}
uint16_t little16(const char* p) {
    return static_cast<uint16_t>(static_cast<unsigned char>(p[0]) | static_cast<unsigned char>(p[1]) << 8);
}
}   // namespace

struct Channel::Impl final : postcot::detail::IoHandler, std::enable_shared_from_this<Channel::Impl> {
    // A task that waits for a frame, or for room to send.
    struct Waiting final : postcot::detail::Wait {
        Waiting(Impl& impl, bool to_send, Millis patience) : owner(impl), sending(to_send), timeout(patience) {}
        ~Waiting() { abandon(); }
        bool await_ready() { return false; }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> who) {
            if (!begin(who, who.promise().cancel, timeout)) return false;
            if (sending) {
                owner.senders.push_back(this);
            } else {
                owner.receiver = this;
            }
            return true;
        }
        int await_resume() { return code(); }
        void unlink() override {
            if (sending) {
                owner.senders.erase(std::find(owner.senders.begin(), owner.senders.end(), this));
            } else {
                owner.receiver = nullptr;
            }
        }
        Impl& owner;
        bool sending;
        Millis timeout;
    };
    // Descriptors leave with the first byte of their frame.
    struct Outgoing {
        uint64_t position;   // in the stream of all bytes ever queued
        std::vector<UniqueFd> fds;
    };

    Impl(UniqueFd socket_fd, size_t frame_limit) : socket(std::move(socket_fd)), max_frame(frame_limit) {
        if (!socket) {
            error = EBADF;
            return;
        }
        int flags = ::fcntl(socket.get(), F_GETFL);
        if (flags >= 0 && !(flags & O_NONBLOCK)) ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
        error = postcot::detail::Reactor::current().watch(socket.get(), *this, kInterest);
    }
    ~Impl() { close(ECANCELED); }

    void close(int code) {
        if (socket) {
            if (!error) pump();
            postcot::detail::Reactor::current().unwatch(socket.get());
            socket.reset();
        }
        if (!error) error = code;
        wake_all();
    }

    void wake_all() {
        if (receiver) receiver->finish_later(0);
        while (!senders.empty()) senders.front()->finish_later(0);
    }

    void on_io(uint32_t events) override {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hung_up = true;
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            maybe_readable = true;
            if (receiver) receiver->finish_later(0);
        }
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
            blocked = false;
            pump();
        }
    }

    // ---- out

    void queue(Frame frame) {
        if (error) return;
        char header[kHeader];
        auto length = static_cast<uint32_t>(frame.payload.size());
        auto fd_count = static_cast<uint16_t>(frame.fds.size());
        for (unsigned i = 0; i < 4; ++i) header[i] = static_cast<char>(length >> (8 * i));
        for (unsigned i = 0; i < 2; ++i) header[4 + i] = static_cast<char>(frame.type >> (8 * i));
        for (unsigned i = 0; i < 2; ++i) header[6 + i] = static_cast<char>(fd_count >> (8 * i));
        if (!frame.fds.empty()) outgoing.push_back({queued, std::move(frame.fds)});
        out.append(header, kHeader);
        out += frame.payload;
        queued += kHeader + length;
        // All frames of one turn leave in one system call.
        if (!pump_posted && !blocked) {
            pump_posted = true;
            Loop::current().post([weak = weak_from_this()] {
                if (auto self = weak.lock()) {
                    self->pump_posted = false;
                    self->pump();
                }
            });
        }
    }

    size_t unsent() const { return out.size() - out_begin; }

    void pump() {
        while (unsent() && !blocked && !error) {
            uint64_t position = queued - unsent();
            size_t length = unsent();
            Outgoing* with = nullptr;
            if (!outgoing.empty()) {
                if (outgoing.front().position == position) with = &outgoing.front();
                size_t next = with ? 1 : 0;
                if (outgoing.size() > next) {
                    length = std::min<size_t>(length, static_cast<size_t>(outgoing[next].position - position));
                }
            }
            ssize_t n = send_some(out.data() + out_begin, length, with);
            if (n < 0) {
                if (errno == EINTR) continue;
                if (errno == EAGAIN) {
                    blocked = true;
                } else {
                    error = errno;
                }
                break;
            }
            out_begin += static_cast<size_t>(n);
            if (with) outgoing.pop_front();
        }
        if (!unsent() || error) {
            out_begin = 0;
            if (out.capacity() > kHighWater) {
                std::string().swap(out);
            } else {
                out.clear();
            }
            if (error) outgoing.clear();
        } else if (out_begin > kHighWater) {
            out.erase(0, out_begin);
            out_begin = 0;
        }
        if (socket && blocked != watching_out) {
            watching_out = blocked;
            postcot::detail::Reactor::current().rewatch(socket.get(), blocked ? kInterest | EPOLLOUT : kInterest);
        }
        if (error) return wake_all();
        if (unsent() <= kHighWater / 2) {
            while (!senders.empty()) senders.front()->finish_later(0);
        }
    }

    ssize_t send_some(const char* data, size_t length, Outgoing* with) {
        if (!with) return ::send(socket.get(), data, length, MSG_NOSIGNAL);
        iovec vector{const_cast<char*>(data), length};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * with->fds.size());
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * with->fds.size());
        for (size_t i = 0; i < with->fds.size(); ++i) {
            int fd = with->fds[i].get();
            std::memcpy(CMSG_DATA(rights) + i * sizeof(int), &fd, sizeof fd);
        }
        return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
    }

    // ---- in

    // 0: a frame is there; EAGAIN: wait; else the error.
    int take_frame(Frame& frame) {
        for (;;) {
            size_t have = in_end - in_begin;
            size_t needed = kHeader;
            if (have >= kHeader) {
                const char* header = in.data() + in_begin;
                size_t length = little32(header);
                size_t fd_count = little16(header + 6);
                if (length > max_frame) return error = EMSGSIZE;
                if (fd_count > kMaxFds) return error = EPROTO;
                needed = kHeader + length;
                if (have >= needed) {
                    if (fds.size() < fd_count) return error = EPROTO;
                    frame.type = little16(header + 4);
                    frame.payload.assign(header + kHeader, length);
                    for (size_t i = 0; i < fd_count; ++i) {
                        frame.fds.push_back(std::move(fds.front()));
                        fds.pop_front();
                    }
                    in_begin += needed;
                    return 0;
                }
            }
            int failed = read_some(needed - have);
            if (failed) return failed;
        }
    }

    int read_some(size_t missing) {
        if (read_error) return read_error;
        if (error == ECANCELED || error == EBADF || !socket) return error ? error : EBADF;
        if (!maybe_readable) return EAGAIN;
        if (in_begin == in_end) in_begin = in_end = 0;
        if (in.size() - in_end < std::min(missing, kReadBuffer)) {
            size_t used = in_end - in_begin;
            std::memmove(in.data(), in.data() + in_begin, used);
            in_begin = 0;
            in_end = used;
            // Grows with what has arrived, not with what a header promises.
            if (in.size() - in_end < std::min(missing, kReadBuffer)) {
                in.resize(std::max(kReadBuffer, in_end + std::min(missing, std::max(in_end, kReadBuffer))));
            }
        }
        iovec vector{in.data() + in_end, in.size() - in_end};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t n;
        do {
            n = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            if (errno == EAGAIN) {
                maybe_readable = false;
                return EAGAIN;
            }
            return read_error = errno == ECONNRESET ? ENODATA : errno;
        }
        for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
            size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < count; ++i) {
                int fd;
                std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
                fds.emplace_back(fd);
            }
        }
        if (message.msg_flags & MSG_CTRUNC || fds.size() > kMaxFdsWaiting) return read_error = EPROTO;
        if (n == 0) return read_error = ENODATA;
        // Descriptors end a recvmsg(2) early, so only a short read without them says that the socket is empty.
        if (message.msg_controllen == 0 && static_cast<size_t>(n) < vector.iov_len && !hung_up) maybe_readable = false;
        in_end += static_cast<size_t>(n);
        return 0;
    }

    UniqueFd socket;
    size_t max_frame;
    int error = 0;   // of the whole channel
    int read_error = 0;
    bool maybe_readable = true;
    bool hung_up = false;
    bool blocked = false;
    bool watching_out = false;
    bool pump_posted = false;
    std::string out;
    size_t out_begin = 0;
    uint64_t queued = 0;
    std::deque<Outgoing> outgoing;
    std::string in;   // its size is the buffer's capacity
    size_t in_begin = 0, in_end = 0;
    std::deque<UniqueFd> fds;
    Waiting* receiver = nullptr;
    std::vector<Waiting*> senders;
};

Channel::Channel(UniqueFd socket, size_t max_frame) : impl_(std::make_shared<Impl>(std::move(socket), max_frame)) {}
Channel::~Channel() {
    if (impl_) impl_->close(ECANCELED);
}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&& other) noexcept {
    if (this != &other) {
        if (impl_) impl_->close(ECANCELED);
        impl_ = std::move(other.impl_);
    }
    return *this;
}

Task<Expected<void>> Channel::send(Frame frame) {
    // Kept alive here: the channel may be destroyed while this waits.
    auto impl = impl_;
    if (frame.payload.size() > impl->max_frame || frame.fds.size() > kMaxFds) co_return fail_errno(EMSGSIZE, "send");
    while (!impl->error && impl->unsent() > kHighWater) {
        Impl::Waiting wait(*impl, true, kNoTimeout);
        int code = co_await wait;
        if (code) co_return fail_errno(code, "send");
    }
    if (impl->error) co_return fail_errno(impl->error, "send");
    impl->queue(std::move(frame));
    co_return Expected<void>();
}

void Channel::post(Frame frame) { impl_->queue(std::move(frame)); }

Task<Expected<Frame>> Channel::receive(Millis timeout) {
    auto impl = impl_;
    Frame frame;
    for (;;) {
        int failed = impl->take_frame(frame);
        if (failed == 0) co_return frame;
        if (failed == ENODATA) co_return fail(ENODATA, "lost connection");
        if (failed != EAGAIN) co_return fail_errno(failed, "receive");
        Impl::Waiting wait(*impl, false, timeout);
        int code = co_await wait;
        if (code) co_return fail_errno(code, "receive");
    }
}

int Channel::fd() const { return impl_->socket.get(); }
void Channel::close() { impl_->close(ECANCELED); }

}   // namespace postcot::ipc
