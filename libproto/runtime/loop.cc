#include "libproto/runtime/loop.h"

#include <uv.h>

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
    uv_work_t request;
    Work* work;

    static void on_pool(uv_work_t* request) { static_cast<WorkRequest*>(request->data)->work->run(); }
    static void on_loop(uv_work_t* request, int) {
        auto* self = static_cast<WorkRequest*>(request->data);
        auto who = self->work->who_;
        delete self;
        // Through the ready queue: several that ended together run in one turn, then everything they caused.
        Reactor::current().post([who] { who.resume(); });
    }
};

void Work::await_suspend(std::coroutine_handle<> who) {
    who_ = who;
    auto* request = new WorkRequest;
    request->request.data = request;
    request->work = this;
    uv_queue_work(Loop::current().uv(), &request->request, WorkRequest::on_pool, WorkRequest::on_loop);
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

struct ScopeRunner {
    static detail::Detached run(Scope& scope, Task<void> task) {
        try {
            co_await task;
        } catch (const std::exception& bug) {
            log::write(log::Level::kPanic, std::string("unhandled exception ends a task: ") + bug.what());
        } catch (...) {
            log::write(log::Level::kPanic, "unhandled exception ends a task");
        }
        task = Task<void>();
        if (--scope.running_ == 0 && scope.joiner_) {
            detail::Reactor::current().schedule(std::exchange(scope.joiner_, {}));
        }
    }
};

Scope::Scope(CancelSource* parent) : source_(parent) {}

Scope::~Scope() {
    if (running_ == 0) return;
    std::fprintf(stderr, "panic: a Scope is destroyed while its tasks run\n");
    std::abort();
}

void Scope::spawn(Task<void> task) {
    auto& promise = task.handle().promise();
    if (!promise.cancel) promise.cancel = &source_;
    ++running_;
    ScopeRunner::run(*this, std::move(task));
}

Task<void> Scope::join() {
    struct Joining {
        const size_t& running;
        std::coroutine_handle<>& joiner;
        bool await_ready() { return running == 0; }
        void await_suspend(std::coroutine_handle<> who) { joiner = who; }
        void await_resume() {}
    };
    while (running_ > 0) {
        Joining joining{running_, joiner_};
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
    void await_resume() {}
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
    detail::Reactor::current().schedule(next->who);   // stays held: handed over
}

}   // namespace postcot
