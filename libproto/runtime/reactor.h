// Inside runtime/ and ipc/ only: what a Loop is made of. Descriptors are watched by an epoll instance of our own,
// itself watched by libuv, because edge-triggered interest costs no system call per wait. One heap holds all timers.
//
// Coroutines are resumed either straight from a callback of the loop (a descriptor became ready, a timer fired) or,
// whenever other code is on the stack (cancel(), Event::set(), close()), from the loop's ready queue. So nothing is
// destroyed under its caller.
#pragma once

#include <sys/epoll.h>

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "libproto/runtime/loop.h"

struct uv_async_s;
struct uv_idle_s;
struct uv_poll_s;
struct uv_timer_s;

namespace postcot::detail {

class Reactor;

// A timer; linked into the heap while scheduled, taken out before on_timer() is called.
class TimerNode {
  public:
    virtual void on_timer() = 0;
    bool scheduled() const { return index_ != kNone; }
    uint64_t due() const { return due_; }
    void schedule(uint64_t due);   // milliseconds of Reactor::now(); moves it if scheduled
    void unschedule();

  protected:
    TimerNode() = default;
    ~TimerNode() { unschedule(); }
    TimerNode(const TimerNode&) = delete;
    TimerNode& operator=(const TimerNode&) = delete;

  private:
    friend class Reactor;
    static constexpr size_t kNone = ~size_t{0};
    size_t index_ = kNone;
    uint64_t due_ = 0;
    Reactor* reactor_ = nullptr;
};

// The owner of a watched descriptor.
class IoHandler {
  public:
    virtual void on_io(uint32_t events) = 0;   // EPOLL* bits

  protected:
    ~IoHandler() = default;
};

// Base of awaitables: who to resume, and why.
class Wait : public CancelWaiter, public TimerNode {
  public:
    // Suspended and cancellable from here on; false when it ended at once (code() says why).
    bool begin(std::coroutine_handle<> who, CancelSource* source, Millis timeout);
    // Ends it: from the loop (resume now) or from anywhere (resume from the ready queue).
    void finish_now(int code);
    void finish_later(int code);
    bool waiting() const { return static_cast<bool>(who_); }
    // For await_resume().
    int code() {
        later_ = {};
        return code_;
    }

  protected:
    Wait() = default;
    ~Wait() = default;
    void abandon();            // for the destructor of a derived class: its frame dies while it waits
    virtual void unlink() {}   // taken out of whatever it waits in

  private:
    void on_cancel(int code) final { finish_later(code); }
    void on_timer() final { finish_now(ETIMEDOUT); }
    std::coroutine_handle<> take(int code);
    std::coroutine_handle<> who_;
    std::coroutine_handle<> later_;   // in the ready queue
    int code_ = 0;
};

// co_await IoWait(fd, EPOLLIN, timeout): level-triggered wait for any descriptor. 0 or an errno value.
class IoWait final : public Wait {
  public:
    IoWait(int fd, uint32_t events, Millis timeout, bool exclusive = false)
        : fd_(fd), events_(events), timeout_(timeout), exclusive_(exclusive) {}
    ~IoWait() { abandon(); }
    bool await_ready() { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> who) {
        return start(who, who.promise().cancel);
    }
    int await_resume() {
        int waited = code();
        return error_ ? error_ : waited;
    }

  private:
    friend class Reactor;
    bool start(std::coroutine_handle<> who, CancelSource* source);
    void unlink() override;
    int fd_;
    uint32_t events_;
    Millis timeout_;
    bool exclusive_;
    int error_ = 0;
    IoWait* next_ = nullptr;
};

// co_await Yield(): lets everything else that is ready run first.
class Yield {
  public:
    Yield() = default;
    ~Yield();
    Yield(const Yield&) = delete;
    Yield& operator=(const Yield&) = delete;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> who);
    void await_resume() { who_ = {}; }

  private:
    std::coroutine_handle<> who_;
};

class Reactor {
  public:
    explicit Reactor(uv_loop_s* uv);
    ~Reactor();
    static Reactor& current();
    static Reactor* current_or_null();

    static uint64_t now();   // milliseconds of CLOCK_MONOTONIC, libuv's time base

    void schedule(std::coroutine_handle<> handle);
    void unschedule(std::coroutine_handle<> handle);   // its frame is being destroyed
    void post(std::function<void()> fn);
    void post_from_thread(std::function<void()> fn);
    void on_signal(int signum, std::function<void()> fn);
    void every(Millis interval, std::function<void()> fn);

    // Edge-triggered interest of one owner per descriptor. Returns an errno value or 0.
    int watch(int fd, IoHandler& handler, uint32_t events);
    void rewatch(int fd, uint32_t events);
    void unwatch(int fd);
    // The descriptor is about to be closed: ends every wait for it with EBADF.
    void forget(int fd);

    // While held, run() has something to wait for.
    void hold();
    void unhold();

    // In a forked child: drops what must not be shared with the parent. The object is not used again.
    void abandon_after_fork();

  private:
    friend class TimerNode;
    friend class IoWait;
    struct Entry {
        IoHandler* handler = nullptr;
        IoWait* waits = nullptr;
        uint32_t handler_events = 0;
        uint32_t registered = 0;   // what epoll knows; 0: nothing
        uint32_t generation = 0;
    };
    struct Repeating;
    class SignalPipe;

    Entry& entry(int fd);
    int update(int fd, bool rearm);
    void dispatch_io();
    void dispatch_timers();
    void arm_timer();
    void heap_up(size_t i);
    void heap_down(size_t i);
    void drain();
    void start_idle();
    void collect_from_threads();

    uv_loop_s* uv_;
    int epoll_ = -1;
    uv_poll_s* poll_handle_;
    uv_timer_s* timer_handle_;
    uv_async_s* async_handle_;
    uv_idle_s* idle_handle_;
    std::vector<Entry> entries_;
    std::vector<TimerNode*> heap_;
    uint64_t armed_for_ = 0;   // what timer_handle_ is set to; 0: stopped
    std::vector<std::coroutine_handle<>> ready_;
    std::vector<std::coroutine_handle<>> resuming_;   // the round of ready_ under way
    std::vector<std::function<void()>> posted_;
    std::mutex thread_mutex_;
    std::vector<std::function<void()>> from_threads_;
    std::vector<std::unique_ptr<Repeating>> repeating_;
    std::unique_ptr<SignalPipe> signals_;
    size_t holds_ = 0;
    bool draining_ = false;   // in a callback of ours that ends with drain()
    bool idle_ = false;
};

// In a forked child before anything else: makes the parent's loop harmless and signals default.
void reset_after_fork();
void set_current_reactor(Reactor* reactor);

}   // namespace postcot::detail
