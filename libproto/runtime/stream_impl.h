// Inside runtime/ only: what a Stream is made of. The output is pumped from the loop, so that a task that waits for the
// peer never stands between the buffered output and the socket, and two pipelining ends cannot wait for each other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "libproto/runtime/reactor.h"
#include "libproto/runtime/stream.h"

struct ssl_st;

namespace postcot {

struct Stream::Impl final : detail::IoHandler {
    static constexpr size_t kFirstBuffer = 8 * 1024;
    static constexpr size_t kMaxBuffer = 64 * 1024;
    static constexpr size_t kTlsRecord = 16 * 1024;

    // What one read(2) or write(2), or its TLS equivalent, did.
    enum class Outcome { kDone, kAgain, kEnd, kFailed };

    explicit Impl(UniqueFd fd, std::string unread);
    ~Impl();

    void on_io(uint32_t events) override;
    void close(int code);

    // One try at reading more into the buffer.
    Outcome read_some();
    Outcome raw_read(char* into, size_t length, size_t& done);
    Outcome raw_write(const char* from, size_t length, size_t& done);
    // Writes what the socket takes; ends the waits of writers whose turn has come.
    void pump();
    Task<Expected<void>> fill(Millis timeout);                    // at least one byte more
    Task<Expected<void>> drain_to(size_t mark, Millis timeout);   // until at most `mark` bytes wait
    Task<Expected<void>> send_file_clear(int file, uint64_t offset, uint64_t length, Millis timeout);
    Task<Expected<void>> handshake(Millis timeout);

    std::string_view buffered() const { return {input.get() + begin, end - begin}; }
    void make_room(size_t want);
    void drop_input();
    size_t unsent() const { return output.size() - output_begin; }
    Millis effective(Millis given) const { return given == kNoTimeout ? default_timeout : given; }
    tl::unexpected<Error> read_failure() const;
    tl::unexpected<Error> write_failure() const;
    // stream_tls.cc
    Outcome tls_read(char* into, size_t length, size_t& done);
    Outcome tls_write(const char* from, size_t length, size_t& done);
    Outcome tls_outcome(int result, int& error);
    void tls_goodbye();   // close_notify, if it can be sent at once
    void tls_free();
    void want_writable(bool wanted);

    // The one waiting reader. Its timer is lazy: left running between reads, so that a read with a timeout costs no
    // timer work.
    class ReadWait final : public detail::Wait {
      public:
        ReadWait(Impl& impl, Millis timeout) : impl_(impl), timeout_(timeout) {}
        ~ReadWait() { abandon(); }
        bool await_ready() { return false; }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> who) {
            return start(who, who.promise().cancel);
        }
        int await_resume() { return code(); }

      private:
        bool start(std::coroutine_handle<> who, CancelSource* source);
        void unlink() override { impl_.reader = nullptr; }
        Impl& impl_;
        Millis timeout_;
    };

    class WriteWait final : public detail::Wait {
      public:
        WriteWait(Impl& impl, size_t mark, Millis timeout) : impl_(impl), mark_(mark), timeout_(timeout) {}
        ~WriteWait() { abandon(); }
        bool await_ready() { return false; }
        template <class P>
        bool await_suspend(std::coroutine_handle<P> who) {
            return start(who, who.promise().cancel);
        }
        int await_resume() { return code(); }
        size_t mark() const { return mark_; }
        WriteWait* next = nullptr;

      private:
        bool start(std::coroutine_handle<> who, CancelSource* source);
        void unlink() override;
        Impl& impl_;
        size_t mark_;
        Millis timeout_;
    };

    struct ReadTimer final : detail::TimerNode {
        explicit ReadTimer(Impl& owner) : impl(owner) {}
        void on_timer() override;
        Impl& impl;
        uint64_t deadline = 0;
    };

    UniqueFd fd;
    std::unique_ptr<char[]> input;   // not initialised: only [begin, end) means anything
    size_t capacity = 0;
    size_t begin = 0, end = 0;
    std::string output;
    size_t output_begin = 0;
    Millis default_timeout = kNoTimeout;
    ReadWait* reader = nullptr;
    WriteWait* writers = nullptr;
    ReadTimer read_timer{*this};
    int read_error = 0;   // ENODATA after an orderly end
    int write_error = 0;
    std::string tls_error;
    bool maybe_readable = true;   // else a read would say EAGAIN
    bool hung_up = false;
    bool write_blocked = false;   // the socket took no more: wait for EPOLLOUT
    bool watching_out = false;
    bool sending_file = false;   // sendfile(2) is at the socket: the buffer waits
    bool shutdown_wanted = false;
    uint64_t bytes_in = 0, bytes_out = 0;

    ssl_st* ssl = nullptr;
    bool handshaking = false;
    bool secured = false;   // the handshake succeeded
    TlsInfo tls_info;
};

}   // namespace postcot
