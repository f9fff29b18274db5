#include "libproto/runtime/stream.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "libproto/runtime/stream_impl.h"

namespace postcot {

namespace {
constexpr uint32_t kInterest = EPOLLIN | EPOLLRDHUP;

}   // namespace

Stream::Impl::Impl(UniqueFd socket, std::string unread) : fd(std::move(socket)) {
    if (!unread.empty()) {
        make_room(unread.size());
        std::memcpy(input.get(), unread.data(), unread.size());
        end = unread.size();
    }
    if (!fd) {
        read_error = write_error = EBADF;
        return;
    }
    int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK)) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
    int failed = detail::Reactor::current().watch(fd.get(), *this, kInterest);
    if (failed) read_error = write_error = failed;
}

Stream::Impl::~Impl() { close(ECANCELED); }

// ---- waits

bool Stream::Impl::ReadWait::start(std::coroutine_handle<> who, CancelSource* source) {
    if (timeout_ == Millis(0)) return begin(who, source, timeout_);
    if (!begin(who, source, kNoTimeout)) return false;
    impl_.reader = this;
    ReadTimer& timer = impl_.read_timer;
    timer.deadline = 0;
    if (timeout_ > Millis(0)) {
        timer.deadline = detail::Reactor::now() + static_cast<uint64_t>(timeout_.count()) + 1;
        if (!timer.scheduled() || timer.due() > timer.deadline) timer.schedule(timer.deadline);
    }
    return true;
}

void Stream::Impl::ReadTimer::on_timer() {
    if (!impl.reader || deadline == 0) return;
    if (deadline > detail::Reactor::now()) return schedule(deadline);
    impl.reader->finish_now(ETIMEDOUT);
}

bool Stream::Impl::WriteWait::start(std::coroutine_handle<> who, CancelSource* source) {
    if (!begin(who, source, timeout_)) return false;
    WriteWait** link = &impl_.writers;
    while (*link) link = &(*link)->next;
    *link = this;
    return true;
}

void Stream::Impl::WriteWait::unlink() {
    for (WriteWait** link = &impl_.writers; *link; link = &(*link)->next) {
        if (*link != this) continue;
        *link = next;
        return;
    }
}

void Stream::Impl::on_io(uint32_t events) {
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hung_up = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) maybe_readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) || ssl) {
        write_blocked = false;
        pump();
    }
    // Later, not now: the reader may destroy this stream.
    if (reader && (maybe_readable || handshaking || ssl)) reader->finish_later(0);
}

void Stream::Impl::want_writable(bool wanted) {
    if (wanted == watching_out || !fd) return;
    watching_out = wanted;
    detail::Reactor::current().rewatch(fd.get(), wanted ? kInterest | EPOLLOUT : kInterest);
}

// ---- reading

void Stream::Impl::make_room(size_t want) {
    if (begin == end) begin = end = 0;
    size_t used = end - begin;
    if (capacity - end >= want) return;
    size_t needed = std::max(used + want, kFirstBuffer);
    if (needed > capacity) {
        auto larger = std::make_unique_for_overwrite<char[]>(needed);
        if (used) std::memcpy(larger.get(), input.get() + begin, used);
        input = std::move(larger);
        capacity = needed;
    } else {
        std::memmove(input.get(), input.get() + begin, used);
    }
    begin = 0;
    end = used;
}

// An idle connection keeps no buffer.
void Stream::Impl::drop_input() {
    input.reset();
    capacity = begin = end = 0;
}

Stream::Impl::Outcome Stream::Impl::raw_read(char* into, size_t length, size_t& done) {
    ssize_t n;
    do {
        n = ::read(fd.get(), into, length);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        done = static_cast<size_t>(n);
        // A short read emptied the socket; what comes later comes with an event of its own. But an end of file already
        // announced will not be announced again.
        if (done < length && !hung_up) maybe_readable = false;
        return Outcome::kDone;
    }
    if (n == 0) {
        read_error = ENODATA;
        return Outcome::kEnd;
    }
    if (errno == EAGAIN) {
        maybe_readable = false;
        return Outcome::kAgain;
    }
    read_error = errno;
    return Outcome::kFailed;
}

Stream::Impl::Outcome Stream::Impl::read_some() {
    if (read_error) return Outcome::kFailed;
    if (!maybe_readable && !ssl) return Outcome::kAgain;
    // Grows from 8 to 64 KiB only for peers that fill it.
    make_room(end - begin >= kFirstBuffer / 2 ? kMaxBuffer : kFirstBuffer);
    size_t done = 0;
    Outcome outcome;
    if (ssl) {
        outcome = tls_read(input.get() + end, capacity - end, done);
    } else {
        outcome = raw_read(input.get() + end, capacity - end, done);
    }
    if (outcome == Outcome::kDone) {
        end += done;
        bytes_in += done;
    } else if (begin == end) {
        drop_input();
    }
    return outcome;
}

tl::unexpected<Error> Stream::Impl::read_failure() const {
    if (read_error == EPROTO && !tls_error.empty()) return fail(EPROTO, tls_error);
    if (read_error == ENODATA) return fail(ENODATA, "lost connection");
    return fail_errno(read_error, "read");
}

tl::unexpected<Error> Stream::Impl::write_failure() const {
    if (write_error == EPROTO && !tls_error.empty()) return fail(EPROTO, tls_error);
    return fail_errno(write_error, "write");
}

Task<Expected<void>> Stream::Impl::fill(Millis timeout) {
    for (;;) {
        Outcome outcome = read_some();
        if (outcome == Outcome::kDone) co_return Expected<void>();
        if (outcome != Outcome::kAgain) co_return read_failure();
        // Whoever waits for the peer first lets the peer see what it waits for.
        pump();
        if (begin == end) drop_input();
        ReadWait wait(*this, timeout);
        int code = co_await wait;
        if (code == ETIMEDOUT) co_return fail(ETIMEDOUT, "timeout");
        if (code) co_return fail_errno(code, "read");
    }
}

// ---- writing

Stream::Impl::Outcome Stream::Impl::raw_write(const char* from, size_t length, size_t& done) {
    ssize_t n;
    do {
        n = ::write(fd.get(), from, length);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        done = static_cast<size_t>(n);
        return Outcome::kDone;
    }
    if (errno == EAGAIN) return Outcome::kAgain;
    write_error = errno;
    return Outcome::kFailed;
}

void Stream::Impl::pump() {
    while (unsent() && !write_blocked && !write_error && !sending_file && !handshaking) {
        size_t done = 0;
        Outcome outcome = ssl ? tls_write(output.data() + output_begin, unsent(), done)
                              : raw_write(output.data() + output_begin, unsent(), done);
        output_begin += done;
        bytes_out += done;
        if (outcome == Outcome::kAgain) write_blocked = true;
        if (outcome == Outcome::kFailed && !write_error) write_error = EPIPE;
    }
    if (!unsent() || write_error) {
        output_begin = 0;
        if (output.capacity() > kFirstBuffer) {
            std::string().swap(output);
        } else {
            output.clear();
        }
        if (shutdown_wanted && fd) {
            shutdown_wanted = false;
            ::shutdown(fd.get(), SHUT_WR);
        }
    } else if (output_begin > kHighWater) {
        output.erase(0, output_begin);
        output_begin = 0;
    }
    want_writable(write_blocked && !write_error);
    for (WriteWait* writer = writers; writer;) {
        WriteWait* next = writer->next;
        if (write_error || unsent() <= writer->mark()) writer->finish_later(0);
        writer = next;
    }
}

Task<Expected<void>> Stream::Impl::drain_to(size_t mark, Millis timeout) {
    pump();
    while (!write_error && unsent() > mark) {
        WriteWait wait(*this, mark, timeout);
        int code = co_await wait;
        if (code == ETIMEDOUT) co_return fail(ETIMEDOUT, "timeout");
        if (code) co_return fail_errno(code, "write");
    }
    if (write_error) co_return write_failure();
    co_return Expected<void>();
}

Task<Expected<void>> Stream::Impl::send_file_clear(int file, uint64_t offset, uint64_t length, Millis timeout) {
    // Nothing else may come between: the buffer waits meanwhile.
    sending_file = true;
    auto position = static_cast<off_t>(offset);
    Expected<void> result;
    while (length > 0 && !write_error) {
        ssize_t n = ::sendfile(fd.get(), file, &position, std::min<uint64_t>(length, 1 << 20));
        if (n > 0) {
            length -= static_cast<uint64_t>(n);
            bytes_out += static_cast<uint64_t>(n);
            continue;
        }
        if (n == 0) {
            result = fail(EIO, "file is shorter than expected");
            break;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) {
            result = fail_errno(errno, "sendfile");
            if (errno != EINVAL && errno != EIO) write_error = errno;
            break;
        }
        // Mark 0 is never reached while the file is being sent, so only an error or the socket's readiness ends it.
        detail::IoWait wait(fd.get(), EPOLLOUT, timeout);
        int code = co_await wait;
        if (code) {
            result = fail_errno(code, code == ETIMEDOUT ? "timeout" : "write");
            break;
        }
    }
    if (write_error && result) result = write_failure();
    sending_file = false;
    pump();
    co_return result;
}

void Stream::Impl::close(int code) {
    if (fd) {
        if (unsent() && !write_error) pump();
        tls_goodbye();
        detail::Reactor::current().unwatch(fd.get());
        fd.reset();
    }
    if (!read_error) read_error = code;
    if (!write_error) write_error = code;
    if (reader) reader->finish_later(code);
    while (writers) writers->finish_later(code);
    tls_free();
}

// ---- the public face

Stream::Stream(UniqueFd fd, std::string unread) : impl_(std::make_unique<Impl>(std::move(fd), std::move(unread))) {}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

Task<Expected<Line>> Stream::read_line(size_t max, Millis timeout) {
    Impl& s = *impl_;
    size_t searched = 0;
    for (;;) {
        std::string_view view = s.buffered();
        size_t newline = view.find('\n', searched);
        if (newline != std::string_view::npos) {
            Line line;
            line.bare_lf = newline == 0 || view[newline - 1] != '\r';
            line.text = view.substr(0, line.bare_lf ? newline : newline - 1);
            if (line.text.size() > max) break;
            s.begin += newline + 1;
            co_return line;
        }
        // A CR at the end may be the line end's.
        if (view.size() > max + 1) break;
        searched = view.size();
        auto more = co_await s.fill(s.effective(timeout));
        if (!more) co_return fail(std::move(more.error()));
    }
    co_return fail(EMSGSIZE, "line too long");
}

Task<Expected<void>> Stream::skip_line(size_t max, Millis timeout) {
    Impl& s = *impl_;
    size_t skipped = 0;
    for (;;) {
        std::string_view view = s.buffered();
        size_t newline = view.find('\n');
        size_t drop = newline == std::string_view::npos ? view.size() : newline + 1;
        skipped += drop;
        s.begin += drop;
        if (newline != std::string_view::npos) co_return Expected<void>();
        if (skipped > max) co_return fail(EMSGSIZE, "line too long");
        auto more = co_await s.fill(s.effective(timeout));
        if (!more) co_return more;
    }
}

Task<Expected<std::string_view>> Stream::peek(Millis timeout) { return peek_at_least(1, timeout); }

Task<Expected<std::string_view>> Stream::peek_at_least(size_t n, Millis timeout) {
    Impl& s = *impl_;
    while (s.end - s.begin < n) {
        auto more = co_await s.fill(s.effective(timeout));
        if (!more) co_return fail(std::move(more.error()));
    }
    co_return s.buffered();
}

void Stream::consume(size_t n) { impl_->begin += std::min(n, impl_->end - impl_->begin); }

Task<Expected<void>> Stream::read_exact(std::string& out, size_t n, Millis timeout) {
    Impl& s = *impl_;
    while (n > 0) {
        std::string_view view = s.buffered().substr(0, n);
        out.append(view);
        s.begin += view.size();
        n -= view.size();
        if (n == 0) break;
        auto more = co_await s.fill(s.effective(timeout));
        if (!more) co_return more;
    }
    co_return Expected<void>();
}

std::string_view Stream::buffered() const { return impl_->buffered(); }

Task<Expected<void>> Stream::write(std::string_view data, Millis timeout) {
    Impl& s = *impl_;
    while (!data.empty()) {
        if (s.write_error) co_return s.write_failure();
        if (s.unsent() >= kHighWater) {
            auto drained = co_await s.drain_to(kHighWater / 2, s.effective(timeout));
            if (!drained) co_return drained;
        }
        size_t room = kHighWater - std::min(kHighWater, s.unsent());
        std::string_view part = data.substr(0, room);
        s.output.append(part);
        data.remove_prefix(part.size());
        if (s.unsent() >= kHighWater) s.pump();
    }
    if (s.write_error) co_return s.write_failure();
    co_return Expected<void>();
}

void Stream::put(std::string_view data) {
    if (!impl_->write_error) impl_->output.append(data);
}

Task<Expected<void>> Stream::flush(Millis timeout) { return impl_->drain_to(0, impl_->effective(timeout)); }

Task<Expected<void>> Stream::write_file(int fd, uint64_t offset, uint64_t length, Millis timeout) {
    Impl& s = *impl_;
    Millis patience = s.effective(timeout);
    constexpr uint64_t kSmall = 16 * 1024;   // copied: one segment with what is around it
    if (!s.ssl && length > kSmall) {
        auto drained = co_await s.drain_to(0, patience);
        if (!drained) co_return drained;
        co_return co_await s.send_file_clear(fd, offset, length, patience);
    }
    std::string chunk;
    while (length > 0) {
        chunk.resize(std::min<uint64_t>(length, kHighWater / 2));
        ssize_t n = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(offset));
        if (n < 0) co_return fail_errno(errno, "read file");
        if (n == 0) co_return fail(EIO, "file is shorter than expected");
        chunk.resize(static_cast<size_t>(n));
        auto written = co_await write(chunk, patience);
        if (!written) co_return written;
        offset += static_cast<uint64_t>(n);
        length -= static_cast<uint64_t>(n);
    }
    co_return Expected<void>();
}

size_t Stream::unsent() const { return impl_->unsent(); }
const TlsInfo* Stream::tls() const { return impl_->secured ? &impl_->tls_info : nullptr; }
void Stream::set_timeout(Millis timeout) { impl_->default_timeout = timeout; }
int Stream::fd() const { return impl_->fd.get(); }
bool Stream::open() const { return static_cast<bool>(impl_->fd); }

void Stream::shutdown_write() {
    Impl& s = *impl_;
    if (!s.fd) return;
    s.shutdown_wanted = true;
    s.pump();
}

void Stream::close() { impl_->close(ECANCELED); }

Handoff Stream::release() {
    Impl& s = *impl_;
    Handoff handoff;
    handoff.unread = std::string(s.buffered());
    if (s.fd) detail::Reactor::current().unwatch(s.fd.get());
    handoff.fd = std::move(s.fd);
    s.close(ECANCELED);
    return handoff;
}

uint64_t Stream::bytes_in() const { return impl_->bytes_in; }
uint64_t Stream::bytes_out() const { return impl_->bytes_out; }

namespace {
constexpr size_t kBatch = 32 * 1024;
}

Task<void> relay(Stream& a, Stream& b, Millis idle_timeout) {
    struct Copy {
        // Ends when `from` does; an idle direction is no reason to end while the other one is busy.
        static Task<void> run(Stream& from, Stream& to, Millis idle, Scope& both) {
            uint64_t seen = 0;
            for (;;) {
                auto bytes = co_await from.peek(idle);
                if (!bytes) {
                    uint64_t now_seen = from.bytes_in() + to.bytes_in();
                    bool busy = bytes.error().code == ETIMEDOUT && now_seen != seen;
                    seen = now_seen;
                    if (busy) continue;
                    break;
                }
                std::string_view view = *bytes;
                auto written = co_await to.write(view, idle);
                if (!written) break;
                from.consume(view.size());
                if (to.unsent() >= kBatch || from.buffered().empty()) {
                    auto flushed = co_await to.flush(idle);
                    if (!flushed) break;
                }
            }
            both.cancel();
        }
    };
    CancelSource* parent = co_await current_cancel();
    Scope both(parent);
    both.spawn(Copy::run(a, b, idle_timeout, both));
    both.spawn(Copy::run(b, a, idle_timeout, both));
    co_await both.join();
}

}   // namespace postcot
