// Task<T>: a lazy coroutine on one loop's thread. It starts when awaited (or spawned into a Scope) and resumes its
// awaiter when it ends. A task inherits the CancelSource of whoever awaits it, so cancelling a session cancels all that
// it awaits.
//
// GCC 12 notes for writers of coroutines: pass parameters by value or by reference to something that outlives the task;
// do not put a braced initialiser list inside a co_await expression; do not write co_await in a ?: operand; a capturing
// lambda must outlive the coroutine it creates.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "libproto/runtime/cancel.h"

namespace postcot {

template <class T = void>
class Task;

namespace detail {

struct PromiseBase {
    std::coroutine_handle<> continuation;
    CancelSource* cancel = nullptr;
    std::exception_ptr exception;
    bool starting = false;   // still inside the awaiter's await_suspend()

    std::suspend_always initial_suspend() noexcept { return {}; }
    struct FinalAwaiter {
        bool await_ready() noexcept { return false; }
        template <class P>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<P> h) noexcept {
            PromiseBase& promise = h.promise();
            auto next = promise.starting ? nullptr : promise.continuation;
            return next ? next : std::noop_coroutine();
        }
        void await_resume() noexcept {}
    };
    FinalAwaiter final_suspend() noexcept { return {}; }
    void unhandled_exception() { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Task<T> get_return_object();
    template <class U>
    void return_value(U&& v) {
        value.emplace(std::forward<U>(v));
    }
    T take() {
        if (exception) std::rethrow_exception(exception);
        return std::move(*value);
    }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() noexcept {}
    void take() {
        if (exception) std::rethrow_exception(exception);
    }
};

}   // namespace detail

template <class T>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() = default;
    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            if (handle_) handle_.destroy();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    ~Task() {
        if (handle_) handle_.destroy();
    }

    // Gives the task a CancelSource of its own instead of its awaiter's. The source must outlive the task.
    Task& with_cancel(CancelSource& source) & {
        handle_.promise().cancel = &source;
        return *this;
    }
    Task&& with_cancel(CancelSource& source) && {
        handle_.promise().cancel = &source;
        return std::move(*this);
    }

    struct Awaiter {
        Handle handle;
        bool await_ready() noexcept { return false; }
        // The child runs on this stack until it first waits; one that ends without waiting just returns here. So a
        // loop over tasks that never wait uses constant stack even where the compiler makes no tail calls (-O0,
        // sanitizers).
        template <class P>
        bool await_suspend(std::coroutine_handle<P> parent) noexcept {
            auto& promise = handle.promise();
            promise.continuation = parent;
            if (!promise.cancel) promise.cancel = parent.promise().cancel;
            promise.starting = true;
            handle.resume();
            promise.starting = false;
            return !handle.done();
        }
        T await_resume() { return handle.promise().take(); }
    };
    Awaiter operator co_await() noexcept { return Awaiter{handle_}; }

    Handle handle() const { return handle_; }
    Handle release() { return std::exchange(handle_, {}); }
    explicit operator bool() const { return static_cast<bool>(handle_); }

  private:
    Handle handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}   // namespace detail

// co_await current_cancel(): the CancelSource this task runs under, or nullptr.
struct current_cancel {
    CancelSource* source = nullptr;
    bool await_ready() noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) noexcept {
        source = h.promise().cancel;
        return false;
    }
    CancelSource* await_resume() noexcept { return source; }
};

}   // namespace postcot
