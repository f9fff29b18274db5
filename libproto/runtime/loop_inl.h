// Templates of loop.h.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "libproto/runtime/loop.h"

namespace postcot {

namespace detail {

// A coroutine that nobody awaits: it starts at once and frees itself.
struct Detached {
    struct promise_type {
        CancelSource* cancel = nullptr;
        Detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

template <class T>
struct RootResult {
    std::optional<T> value;
    std::exception_ptr exception;
    bool done = false;
};
template <>
struct RootResult<void> {
    std::exception_ptr exception;
    bool done = false;
};

template <class T>
Detached run_root(Task<T> task, RootResult<T>& result) {
    try {
        if constexpr (std::is_void_v<T>) {
            co_await task;
        } else {
            result.value.emplace(co_await task);
        }
    } catch (...) {
        result.exception = std::current_exception();
    }
    result.done = true;
}

// Turns the loop until `done`; aborts when nothing can ever set it.
void turn_until(Loop& loop, const bool& done);

// One job for the thread pool. Destroyed while the pool has it (only when an exception destroys its scope), it waits for the pool.
class Work {
  public:
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> who);
    void await_resume() { request_ = nullptr; }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

  protected:
    Work() = default;
    ~Work() = default;
    void abandon() {
        if (request_) abandon_request();
    }

  private:
    friend struct WorkRequest;
    virtual void run() noexcept = 0;   // on a pool thread
    void abandon_request();
    std::coroutine_handle<> who_;
    struct WorkRequest* request_ = nullptr;
};

template <class Fn, class R>
class WorkOf final : public Work {
  public:
    explicit WorkOf(Fn& fn) : fn_(fn) {}
    ~WorkOf() { abandon(); }
    R take() {
        if (exception_) std::rethrow_exception(exception_);
        if constexpr (!std::is_void_v<R>) return std::move(*value_);
    }

  private:
    void run() noexcept override {
        try {
            if constexpr (std::is_void_v<R>) {
                fn_();
            } else {
                value_.emplace(fn_());
            }
        } catch (...) {
            exception_ = std::current_exception();
        }
    }
    Fn& fn_;
    std::exception_ptr exception_;
    std::conditional_t<std::is_void_v<R>, char, std::optional<std::conditional_t<std::is_void_v<R>, char, R>>> value_{};
};

// Cancels `source` with ETIMEDOUT after `duration`, unless destroyed before.
class DeadlineTimer {
  public:
    DeadlineTimer(CancelSource& source, Millis duration);
    ~DeadlineTimer();
    DeadlineTimer(const DeadlineTimer&) = delete;
    DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}   // namespace detail

template <class T>
T Loop::run_until_complete(Task<T> task) {
    detail::RootResult<T> result;
    detail::run_root<T>(std::move(task), result);
    detail::turn_until(*this, result.done);
    if (result.exception) std::rethrow_exception(result.exception);
    if constexpr (!std::is_void_v<T>) return std::move(*result.value);
}

template <class T>
Task<Expected<T>> with_deadline(Millis duration, Task<Expected<T>> inner) {
    CancelSource* parent = co_await current_cancel();
    CancelSource source(parent);
    detail::DeadlineTimer timer(source, duration);
    inner.with_cancel(source);
    Expected<T> result = co_await inner;
    co_return result;
}

template <class Fn>
Task<std::invoke_result_t<Fn>> blocking(Fn fn) {
    using R = std::invoke_result_t<Fn>;
    detail::WorkOf<Fn, R> work(fn);
    co_await work;
    co_return work.take();
}

}   // namespace postcot
