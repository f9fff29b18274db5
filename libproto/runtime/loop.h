// The event loop of one thread (libuv), root tasks, scopes, timers, deadlines and the thread pool.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <type_traits>

#include "libproto/error.h"
#include "libproto/runtime/task.h"

struct uv_loop_s;

namespace postcot {

using Millis = std::chrono::milliseconds;
inline constexpr Millis kNoTimeout{-1};

class Loop {
  public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // The loop of this thread; a Loop makes itself current on construction. The only global.
    static Loop& current();
    // Makes the kernel objects of this thread's loop anew, if it has one. For enter_sandbox(): libuv (from 1.45 on) makes an io_uring for a loop
    // where it may, and would go on using it where the filter refuses that. What waits on the loop goes on waiting.
    static void renew_kernel_objects();

    // Runs until stop() is called or nothing is left to wait for.
    void run();
    void stop();
    // Runs one task to its end on this loop and returns its result: for main(), tools and tests.
    template <class T>
    T run_until_complete(Task<T> task);

    // Calls `fn` from the loop after the current callbacks.
    void post(std::function<void()> fn);
    // Thread-safe post.
    void post_from_thread(std::function<void()> fn);
    // Calls `fn` on each arrival of the signal, from the loop.
    void on_signal(int signum, std::function<void()> fn);
    // Calls `fn` about every `interval` until the loop ends.
    void every(Millis interval, std::function<void()> fn);

    std::chrono::steady_clock::time_point now() const;   // cached at the start of this turn
    uv_loop_s* uv() { return uv_.get(); }

  private:
    struct Impl;
    struct UvDeleter {
        void operator()(uv_loop_s* loop) const;
    };
    std::unique_ptr<uv_loop_s, UvDeleter> uv_;
    std::unique_ptr<Impl> impl_;
};

// A nursery: owns the tasks spawned into it. Cancelling it cancels all of them. join() waits for all. A Scope is joined (or
// never spawned into) before it is destroyed. Only an exception may destroy one with running tasks: their frames are destroyed then,
// wherever they wait, with what they own. An exception that leaves a spawned task is logged as a bug and ends only that task.
class Scope {
  public:
    explicit Scope(CancelSource* parent = nullptr);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    void spawn(Task<void> task);   // runs it until its first suspension
    Task<void> join();
    void cancel(int code = ECANCELED);
    size_t size() const { return running_; }
    CancelSource& source() { return source_; }

  private:
    friend struct ScopeLink;
    CancelSource source_;
    size_t running_ = 0;
    struct ScopeLink* running_tasks_ = nullptr;
    std::coroutine_handle<> joiner_;
};

// Ends early with ECANCELED/ETIMEDOUT when cancelled.
Task<Expected<void>> sleep_for(Millis duration);

// Runs `inner` under a deadline: past it, whatever it waits for ends with ETIMEDOUT. The deadline is a scope: it ends with the task.
template <class T>
Task<Expected<T>> with_deadline(Millis duration, Task<Expected<T>> inner);

// Runs `fn` on the thread pool and resumes here with its result. It cannot be cancelled once running: the awaiter waits it out, so
// references that `fn` holds stay valid. For fsync, opendir of a huge directory, getpwnam, LMDB scans.
template <class Fn>
Task<std::invoke_result_t<Fn>> blocking(Fn fn);

// A condition that tasks wait for. set() wakes every waiter; wait() returns at once while set. reset() clears it.
class Event {
  public:
    void set();
    void reset() { set_ = false; }
    bool is_set() const { return set_; }
    Task<Expected<void>> wait(Millis timeout = kNoTimeout);

  private:
    friend class EventWaiter;
    bool set_ = false;
    class EventWaiter* waiters_ = nullptr;
};

// Mutual exclusion between tasks of one loop, first come first served.
class Mutex {
  public:
    class Guard {
      public:
        Guard() = default;
        explicit Guard(Mutex* mutex) : mutex_(mutex) {}
        Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Guard& operator=(Guard&& other) noexcept {
            if (mutex_) mutex_->unlock();
            mutex_ = std::exchange(other.mutex_, nullptr);
            return *this;
        }
        ~Guard() {
            if (mutex_) mutex_->unlock();
        }

      private:
        Mutex* mutex_ = nullptr;
    };
    Task<Guard> lock();

  private:
    friend class Guard;
    void unlock();
    struct Waiter;
    friend struct Waiter;
    bool held_ = false;
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
};

}   // namespace postcot

#include "libproto/runtime/loop_inl.h"
