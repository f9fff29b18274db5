#include "libproto/runtime/loop.h"

#include <uv.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "libproto/runtime/log.h"
#include "libproto/runtime/reactor.h"

namespace postcot {

namespace {
thread_local Loop* current_loop = nullptr;
}

struct Loop::Impl {
    explicit Impl(uv_loop_t* uv) : reactor(uv) {}
    detail::Reactor reactor;
    Loop* previous = nullptr;
    detail::Reactor* previous_reactor = nullptr;
};

void Loop::UvDeleter::operator()(uv_loop_s* loop) const {
    uv_loop_close(loop);
    delete loop;
}

Loop::Loop() : uv_(new uv_loop_t) {
    if (uv_loop_init(uv_.get()) != 0) std::abort();
    auto* previous_reactor = detail::Reactor::current_or_null();
    impl_ = std::make_unique<Impl>(uv_.get());
    impl_->previous_reactor = previous_reactor;
    // After a fork the parent's loop is no longer anybody's.
    impl_->previous = previous_reactor ? current_loop : nullptr;
    current_loop = this;
}

Loop::~Loop() {
    auto* previous_reactor = impl_->previous_reactor;
    current_loop = impl_->previous;
    impl_.reset();
    detail::set_current_reactor(previous_reactor);
}

Loop& Loop::current() {
    if (!current_loop) std::abort();   // no Loop on this thread
    return *current_loop;
}

void Loop::renew_kernel_objects() {
    // Named for what it is mostly used for; to libuv it is the same whether there was a fork.
    if (current_loop && uv_loop_fork(current_loop->uv_.get()) != 0) std::abort();
}

void Loop::run() { uv_run(uv_.get(), UV_RUN_DEFAULT); }
void Loop::stop() { uv_stop(uv_.get()); }
void Loop::post(std::function<void()> fn) { impl_->reactor.post(std::move(fn)); }
void Loop::post_from_thread(std::function<void()> fn) { impl_->reactor.post_from_thread(std::move(fn)); }
void Loop::on_signal(int signum, std::function<void()> fn) { impl_->reactor.on_signal(signum, std::move(fn)); }
void Loop::every(Millis interval, std::function<void()> fn) { impl_->reactor.every(interval, std::move(fn)); }

std::chrono::steady_clock::time_point Loop::now() const {
    return std::chrono::steady_clock::time_point(std::chrono::milliseconds(uv_now(uv_.get())));
}

void detail::turn_until(Loop& loop, const bool& done) {
    auto& reactor = detail::Reactor::current();
    reactor.hold();
    while (!done) uv_run(loop.uv(), UV_RUN_ONCE);
    reactor.unhold();
}

// ---- thread pool

namespace detail {

struct WorkRequest {
    enum class Stage { kOnPool, kScheduled };
    uv_work_t request;
    Work* work;   // null: abandoned
    Stage stage = Stage::kOnPool;
    std::atomic<bool> done = false;

    static void on_pool(uv_work_t* request) {
        auto* self = static_cast<WorkRequest*>(request->data);
        self->work->run();
        self->done = true;
        self->done.notify_all();
    }
    // Through the queue: several that ended together run in one turn, then everything they caused.
    static void on_loop(uv_work_t* request, int) {
        auto* self = static_cast<WorkRequest*>(request->data);
        self->stage = Stage::kScheduled;
        Reactor::current().post([self] {
            std::unique_ptr<WorkRequest> owned(self);
            if (self->work) std::exchange(self->work, nullptr)->who_.resume();
        });
    }
};

void Work::await_suspend(std::coroutine_handle<> who) {
    who_ = who;
    request_ = new WorkRequest;
    request_->request.data = request_;
    request_->work = this;
    uv_queue_work(Loop::current().uv(), &request_->request, WorkRequest::on_pool, WorkRequest::on_loop);
}

void Work::abandon_request() {
    // The pool writes into this object: let it finish.
    if (request_->stage == WorkRequest::Stage::kOnPool) request_->done.wait(false);
    request_->work = nullptr;
    request_ = nullptr;
}

struct DeadlineTimer::Impl final : TimerNode {
    explicit Impl(CancelSource& to_cancel) : source(to_cancel) {}
    void on_timer() override { source.cancel(ETIMEDOUT); }
    CancelSource& source;
};

DeadlineTimer::DeadlineTimer(CancelSource& source, Millis duration) {
    if (duration < Millis(0)) return;
    if (duration == Millis(0)) {
        source.cancel(ETIMEDOUT);
        return;
    }
    impl_ = std::make_unique<Impl>(source);
    impl_->schedule(Reactor::now() + static_cast<uint64_t>(duration.count()) + 1);
}
DeadlineTimer::~DeadlineTimer() = default;

}   // namespace detail

// ---- scopes

// A spawned task: starts at once, frees itself at its end, and can be destroyed by its scope while it waits.
struct ScopeRunner {
    struct promise_type {
        CancelSource* cancel = nullptr;
        ScopeRunner get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
    static ScopeRunner run(Scope& scope, Task<void> task);
};

// Ties a runner to its scope; lives in the runner's frame.
struct ScopeLink {
    explicit ScopeLink(Scope& owner) : scope(owner) {}
    ScopeLink(const ScopeLink&) = delete;
    ScopeLink& operator=(const ScopeLink&) = delete;
    ~ScopeLink() {
        if (previous) {
            previous->next = next;
        } else {
            scope.running_tasks_ = next;
        }
        if (next) next->previous = previous;
        if (--scope.running_ == 0 && scope.joiner_) {
            detail::Reactor::current().schedule(std::exchange(scope.joiner_, {}));
        }
    }
    bool await_ready() { return false; }
    bool await_suspend(std::coroutine_handle<> self) {
        runner = self;
        ++scope.running_;
        next = scope.running_tasks_;
        if (next) next->previous = this;
        scope.running_tasks_ = this;
        return false;
    }
    void await_resume() {}

    Scope& scope;
    std::coroutine_handle<> runner;
    ScopeLink* next = nullptr;
    ScopeLink* previous = nullptr;
};

ScopeRunner ScopeRunner::run(Scope& scope, Task<void> task) {
    ScopeLink link(scope);
    co_await link;
    try {
        co_await task;
    } catch (const std::exception& bug) {
        log::write(log::Level::kPanic, std::string("unhandled exception ends a task: ") + bug.what());
    } catch (...) {
        log::write(log::Level::kPanic, "unhandled exception ends a task");
    }
    task = Task<void>();
}

Scope::Scope(CancelSource* parent) : source_(parent) {}

Scope::~Scope() {
    if (running_ == 0) return;
    if (std::uncaught_exceptions() == 0) {
        std::fprintf(stderr, "panic: a Scope is destroyed while its tasks run\n");
        std::abort();
    }
    while (running_tasks_) running_tasks_->runner.destroy();
}

void Scope::spawn(Task<void> task) {
    auto& promise = task.handle().promise();
    if (!promise.cancel) promise.cancel = &source_;
    ScopeRunner::run(*this, std::move(task));
}

Task<void> Scope::join() {
    struct Joining {
        Scope& scope;
        std::coroutine_handle<> who;
        ~Joining() {
            if (!who) return;
            if (scope.joiner_ == who) scope.joiner_ = {};
            detail::Reactor::current().unschedule(who);
        }
        bool await_ready() { return scope.running_ == 0; }
        void await_suspend(std::coroutine_handle<> waiting) { scope.joiner_ = who = waiting; }
        void await_resume() { who = {}; }
    };
    while (running_ > 0) {
        Joining joining{*this, {}};
        co_await joining;
    }
}

void Scope::cancel(int code) { source_.cancel(code); }

// ---- timers, events, mutexes

namespace {

Expected<void> result_of(int code, const char* what) {
    if (code) return fail_errno(code, what);
    return {};
}

class SleepWait final : public detail::Wait {
  public:
    explicit SleepWait(Millis duration) : duration_(duration) {}
    ~SleepWait() { abandon(); }
    bool await_ready() { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> who) {
        return begin(who, who.promise().cancel, duration_);
    }
    int await_resume() { return code(); }

  private:
    Millis duration_;
};

}   // namespace

Task<Expected<void>> sleep_for(Millis duration) {
    CancelSource* source = co_await current_cancel();
    if (duration <= Millis(0)) co_await detail::Yield();
    if (duration > Millis(0)) {
        SleepWait wait(duration);
        int code = co_await wait;
        // Its own timer is the good end; a deadline's ETIMEDOUT comes through the source.
        if (code == ETIMEDOUT && !(source && source->cancelled())) code = 0;
        co_return result_of(code, "sleep");
    }
    co_return result_of(source ? source->code() : 0, "sleep");
}

class EventWaiter final : public detail::Wait {
  public:
    EventWaiter(Event& event, Millis timeout) : event_(event), timeout_(timeout) {}
    ~EventWaiter() { abandon(); }
    bool await_ready() { return event_.set_; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> who) {
        if (!begin(who, who.promise().cancel, timeout_)) return false;
        next_ = event_.waiters_;
        event_.waiters_ = this;
        return true;
    }
    int await_resume() { return code(); }
    static EventWaiter* next_of(EventWaiter* waiter) { return waiter->next_; }

  private:
    void unlink() override {
        for (EventWaiter** link = &event_.waiters_; *link; link = &(*link)->next_) {
            if (*link != this) continue;
            *link = next_;
            return;
        }
    }
    Event& event_;
    Millis timeout_;
    EventWaiter* next_ = nullptr;
};

void Event::set() {
    set_ = true;
    while (waiters_) waiters_->finish_later(0);
}

Task<Expected<void>> Event::wait(Millis timeout) {
    EventWaiter waiter(*this, timeout);
    int code = co_await waiter;
    co_return result_of(code, "wait");
}

struct Mutex::Waiter {
    Mutex& mutex;
    std::coroutine_handle<> who;
    Waiter* next = nullptr;
    bool granted = false;   // in the ready queue, the mutex is its own

    ~Waiter() {
        if (!who) return;
        if (granted) {
            detail::Reactor::current().unschedule(who);
            mutex.unlock();
            return;
        }
        Waiter* before = nullptr;
        for (Waiter* entry = mutex.first_; entry; before = entry, entry = entry->next) {
            if (entry != this) continue;
            (before ? before->next : mutex.first_) = next;
            if (mutex.last_ == this) mutex.last_ = before;
            break;
        }
    }

    bool await_ready() {
        if (mutex.held_) return false;
        mutex.held_ = true;
        return true;
    }
    void await_suspend(std::coroutine_handle<> waiting) {
        who = waiting;
        if (mutex.last_) {
            mutex.last_->next = this;
        } else {
            mutex.first_ = this;
        }
        mutex.last_ = this;
    }
    void await_resume() { who = {}; }
};

Task<Mutex::Guard> Mutex::lock() {
    Waiter waiter{*this, {}};
    co_await waiter;
    co_return Guard(this);
}

void Mutex::unlock() {
    Waiter* next = first_;
    if (!next) {
        held_ = false;
        return;
    }
    first_ = next->next;
    if (!first_) last_ = nullptr;
    next->granted = true;
    detail::Reactor::current().schedule(next->who);   // stays held: handed over
}

}   // namespace postcot
