#include "libproto/runtime/reactor.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "libproto/runtime/fd.h"

namespace postcot::detail {

namespace {
thread_local Reactor* current_reactor = nullptr;

constexpr uint32_t kAlways = EPOLLERR | EPOLLHUP;
constexpr int kDrainRounds = 64;   // then the loop gets its turn

template <class Handle>
void close_and_delete(Handle* handle) {
    uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* h) { delete reinterpret_cast<Handle*>(h); });
}
}   // namespace

// ---- timers

void TimerNode::schedule(uint64_t due) {
    Reactor& reactor = Reactor::current();
    due_ = due;
    if (scheduled()) {
        reactor.heap_up(index_);
        reactor.heap_down(index_);
    } else {
        reactor_ = &reactor;
        index_ = reactor.heap_.size();
        reactor.heap_.push_back(this);
        reactor.heap_up(index_);
    }
    if (index_ == 0) reactor.arm_timer();
}

void TimerNode::unschedule() {
    if (!scheduled()) return;
    auto& heap = reactor_->heap_;
    size_t i = index_;
    index_ = kNone;
    TimerNode* last = heap.back();
    heap.pop_back();
    if (last == this) return;
    heap[i] = last;
    last->index_ = i;
    reactor_->heap_up(i);
    reactor_->heap_down(last->index_);
}

void Reactor::heap_up(size_t i) {
    TimerNode* node = heap_[i];
    while (i > 0) {
        size_t parent = (i - 1) / 4;
        if (heap_[parent]->due_ <= node->due_) break;
        heap_[i] = heap_[parent];
        heap_[i]->index_ = i;
        i = parent;
    }
    heap_[i] = node;
    node->index_ = i;
}

void Reactor::heap_down(size_t i) {
    TimerNode* node = heap_[i];
    for (;;) {
        size_t first = 4 * i + 1;
        if (first >= heap_.size()) break;
        size_t best = first;
        for (size_t child = first + 1; child < std::min(first + 4, heap_.size()); ++child) {
            if (heap_[child]->due_ < heap_[best]->due_) best = child;
        }
        if (heap_[best]->due_ >= node->due_) break;
        heap_[i] = heap_[best];
        heap_[i]->index_ = i;
        i = best;
    }
    heap_[i] = node;
    node->index_ = i;
}

void Reactor::arm_timer() {
    if (heap_.empty()) return;
    uint64_t due = heap_[0]->due_;
    // A timer set too early is harmless: it finds nothing due and arms again.
    if (armed_for_ && armed_for_ <= due) return;
    armed_for_ = due;
    uint64_t loop_time = uv_now(uv_);
    uv_timer_start(
        timer_handle_, [](uv_timer_t* handle) { static_cast<Reactor*>(handle->data)->dispatch_timers(); },
        due > loop_time ? due - loop_time : 0, 0);
}

void Reactor::dispatch_timers() {
    draining_ = true;
    armed_for_ = 0;
    uint64_t time = uv_now(uv_);
    while (!heap_.empty() && heap_[0]->due_ <= time) {
        TimerNode* node = heap_[0];
        node->unschedule();
        node->on_timer();
    }
    arm_timer();
    drain();
}

// ---- waits

bool Wait::begin(std::coroutine_handle<> who, CancelSource* source, Millis timeout) {
    code_ = 0;
    if (source && source->cancelled()) {
        code_ = source->code();
        return false;
    }
    if (timeout == Millis(0)) {
        code_ = ETIMEDOUT;
        return false;
    }
    who_ = who;
    if (source) source->add(*this);
    // One more: `now` was rounded down.
    if (timeout > Millis(0)) schedule(Reactor::now() + static_cast<uint64_t>(timeout.count()) + 1);
    Reactor::current().hold();
    return true;
}

std::coroutine_handle<> Wait::take(int code) {
    auto who = std::exchange(who_, {});
    code_ = code;
    unlink();
    CancelSource::remove(*this);
    unschedule();
    Reactor::current().unhold();
    return who;
}

void Wait::finish_now(int code) {
    if (waiting()) take(code).resume();
}

void Wait::finish_later(int code) {
    if (!waiting()) return;
    later_ = take(code);
    Reactor::current().schedule(later_);
}

void Wait::abandon() {
    if (waiting()) take(ECANCELED);
    if (later_) Reactor::current().unschedule(std::exchange(later_, {}));
}

bool IoWait::start(std::coroutine_handle<> who, CancelSource* source) {
    Reactor& reactor = Reactor::current();
    if (fd_ < 0) {
        error_ = EBADF;
        return false;
    }
    if (!begin(who, source, timeout_)) return false;
    auto& entry = reactor.entry(fd_);
    next_ = entry.waits;
    entry.waits = this;
    int failed = reactor.update(fd_, true);
    if (!failed) return true;
    // EPERM: a regular file, always ready.
    if (failed != EPERM) error_ = failed;
    abandon();
    return false;
}

void IoWait::unlink() {
    Reactor& reactor = Reactor::current();
    auto& entry = reactor.entry(fd_);
    for (IoWait** link = &entry.waits; *link; link = &(*link)->next_) {
        if (*link == this) {
            *link = next_;
            reactor.update(fd_, false);
            return;
        }
    }
}

void Yield::await_suspend(std::coroutine_handle<> who) {
    who_ = who;
    Reactor::current().schedule(who);
}

Yield::~Yield() {
    if (who_) Reactor::current().unschedule(who_);
}

// ---- descriptors

Reactor::Entry& Reactor::entry(int fd) {
    auto i = static_cast<size_t>(fd);
    if (i >= entries_.size()) entries_.resize(std::max(i + 1, entries_.size() * 2));
    return entries_[i];
}

int Reactor::update(int fd, bool rearm) {
    Entry& e = entry(fd);
    uint32_t wanted = e.handler ? e.handler_events | EPOLLET : 0;
    for (IoWait* wait = e.waits; wait; wait = wait->next_) {
        wanted |= wait->events_;
        if (wait->exclusive_ && !e.handler) wanted |= EPOLLEXCLUSIVE;
    }
    if (wanted == e.registered && !(rearm && e.handler)) return 0;
    epoll_event event{};
    event.events = wanted;
    event.data.u64 = static_cast<uint64_t>(e.generation) << 32 | static_cast<uint32_t>(fd);
    // EPOLLEXCLUSIVE cannot be modified.
    if (e.registered && (wanted == 0 || ((wanted | e.registered) & EPOLLEXCLUSIVE))) {
        epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
        e.registered = 0;
    }
    if (wanted == 0) return 0;
    int first = e.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(epoll_, first, fd, &event) < 0) {
        // The number was closed behind our back and is another file now, or is known from before.
        int second = errno == ENOENT ? EPOLL_CTL_ADD : errno == EEXIST ? EPOLL_CTL_MOD : 0;
        if (!second || epoll_ctl(epoll_, second, fd, &event) < 0) {
            e.registered = 0;
            return errno;
        }
    }
    e.registered = wanted;
    return 0;
}

int Reactor::watch(int fd, IoHandler& handler, uint32_t events) {
    Entry& e = entry(fd);
    e.handler = &handler;
    e.handler_events = events;
    ++e.generation;
    int failed = update(fd, true);
    if (failed) e.handler = nullptr;
    return failed;
}

void Reactor::rewatch(int fd, uint32_t events) {
    Entry& e = entry(fd);
    if (!e.handler) return;
    e.handler_events = events;
    update(fd, true);
}

void Reactor::unwatch(int fd) {
    Entry& e = entry(fd);
    e.handler = nullptr;
    e.handler_events = 0;
    ++e.generation;
    update(fd, false);
}

void Reactor::forget(int fd) {
    if (fd < 0 || static_cast<size_t>(fd) >= entries_.size()) return;
    Entry& e = entries_[static_cast<size_t>(fd)];
    if (!e.registered && !e.waits && !e.handler) return;
    if (e.registered) epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    e.registered = 0;
    e.handler = nullptr;
    e.handler_events = 0;
    ++e.generation;
    while (e.waits) {
        IoWait* wait = e.waits;
        e.waits = wait->next_;
        wait->error_ = EBADF;
        wait->finish_later(EBADF);
    }
}

void Reactor::dispatch_io() {
    draining_ = true;
    std::array<epoll_event, 256> events;
    int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        int fd = static_cast<int>(event.data.u64 & 0xffffffffu);
        auto generation = static_cast<uint32_t>(event.data.u64 >> 32);
        if (entry(fd).generation != generation) continue;   // closed by an earlier callback of this batch
        for (IoWait* wait = entry(fd).waits; wait;) {
            IoWait* next = wait->next_;
            if (event.events & (wait->events_ | kAlways)) wait->finish_later(0);
            wait = next;
        }
        if (IoHandler* handler = entry(fd).handler) handler->on_io(event.events);
    }
    drain();
}

// ---- ready queue

void Reactor::schedule(std::coroutine_handle<> handle) {
    ready_.push_back(handle);
    start_idle();
}

void Reactor::unschedule(std::coroutine_handle<> handle) {
    for (auto* queue : {&ready_, &resuming_}) {
        for (auto& entry : *queue) {
            if (entry == handle) entry = std::noop_coroutine();
        }
    }
}

void Reactor::post(std::function<void()> fn) {
    posted_.push_back(std::move(fn));
    start_idle();
}

void Reactor::start_idle() {
    if (idle_ || draining_) return;
    idle_ = true;
    uv_idle_start(idle_handle_, [](uv_idle_t* handle) {
        auto* self = static_cast<Reactor*>(handle->data);
        self->draining_ = true;
        self->drain();
    });
}

void Reactor::drain() {
    draining_ = true;
    std::vector<std::function<void()>> posted;
    for (int round = 0; round < kDrainRounds && !(ready_.empty() && posted_.empty()); ++round) {
        resuming_.swap(ready_);
        posted.swap(posted_);
        // By index: unschedule() may change entries under way.
        for (size_t i = 0; i < resuming_.size(); ++i) std::exchange(resuming_[i], std::noop_coroutine()).resume();
        resuming_.clear();
        for (auto& fn : posted) fn();
        posted.clear();
    }
    draining_ = false;
    if (!ready_.empty() || !posted_.empty()) {
        start_idle();
    } else if (idle_) {
        idle_ = false;
        uv_idle_stop(idle_handle_);
    }
}

void Reactor::post_from_thread(std::function<void()> fn) {
    {
        std::lock_guard lock(thread_mutex_);
        from_threads_.push_back(std::move(fn));
    }
    uv_async_send(async_handle_);
}

void Reactor::collect_from_threads() {
    std::vector<std::function<void()>> jobs;
    {
        std::lock_guard lock(thread_mutex_);
        jobs.swap(from_threads_);
    }
    draining_ = true;
    for (auto& job : jobs) job();
    drain();
}

void Reactor::hold() {
    if (holds_++ == 0) uv_ref(reinterpret_cast<uv_handle_t*>(async_handle_));
}

void Reactor::unhold() {
    if (--holds_ == 0) uv_unref(reinterpret_cast<uv_handle_t*>(async_handle_));
}

// ---- intervals and signals

struct Reactor::Repeating final : TimerNode {
    Millis interval;
    std::function<void()> fn;
    void on_timer() override {
        schedule(Reactor::now() + static_cast<uint64_t>(interval.count()));
        fn();
    }
};

void Reactor::every(Millis interval, std::function<void()> fn) {
    auto timer = std::make_unique<Repeating>();
    timer->interval = interval;
    timer->fn = std::move(fn);
    timer->schedule(now() + static_cast<uint64_t>(interval.count()));
    repeating_.push_back(std::move(timer));
}

// Not uv_signal: libuv keeps signal state for the whole process, and a forked child would write its signals into the
// parent's loop.
class Reactor::SignalPipe final : public IoHandler {
  public:
    explicit SignalPipe(Reactor& reactor) : reactor_(reactor) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) std::abort();
        read_end_ = ends[0];
        write_end_ = ends[1];
        reactor_.watch(read_end_, *this, EPOLLIN);
    }
    ~SignalPipe() {
        reset_handlers();
        reactor_.unwatch(read_end_);
        close_ends();
    }
    void add(int signum, std::function<void()> fn) {
        handlers_.emplace_back(signum, std::move(fn));
        target = write_end_;
        struct sigaction action {};
        action.sa_handler = [](int number) {
            int saved = errno;
            auto byte = static_cast<unsigned char>(number);
            [[maybe_unused]] auto written = ::write(target, &byte, 1);
            errno = saved;
        };
        action.sa_flags = SA_RESTART;
        sigfillset(&action.sa_mask);
        sigaction(signum, &action, nullptr);
    }
    void reset_handlers() {
        for (auto& [signum, fn] : handlers_) ::signal(signum, SIG_DFL);
        target = -1;
    }
    void close_ends() {
        ::close(read_end_);
        ::close(write_end_);
    }

  private:
    void on_io(uint32_t) override {
        unsigned char bytes[64];
        ssize_t n;
        while ((n = ::read(read_end_, bytes, sizeof bytes)) > 0) {
            for (ssize_t i = 0; i < n; ++i) {
                for (size_t k = 0; k < handlers_.size(); ++k) {
                    if (handlers_[k].first != bytes[i]) continue;
                    auto fn = handlers_[k].second;   // a copy: it may add handlers
                    fn();
                }
            }
        }
    }
    static inline volatile int target = -1;
    Reactor& reactor_;
    int read_end_ = -1;
    int write_end_ = -1;
    std::vector<std::pair<int, std::function<void()>>> handlers_;
};

void Reactor::on_signal(int signum, std::function<void()> fn) {
    if (!signals_) {
        signals_ = std::make_unique<SignalPipe>(*this);
        hold();
    }
    signals_->add(signum, std::move(fn));
}

// ---- life

Reactor::Reactor(uv_loop_s* uv) : uv_(uv) {
    // A peer that went away is an error of write(2), never the end of the process.
    ::signal(SIGPIPE, SIG_IGN);
    current_reactor = this;
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) std::abort();
    poll_handle_ = new uv_poll_t;
    timer_handle_ = new uv_timer_t;
    async_handle_ = new uv_async_t;
    idle_handle_ = new uv_idle_t;
    uv_poll_init(uv_, poll_handle_, epoll_);
    uv_timer_init(uv_, timer_handle_);
    uv_async_init(uv_, async_handle_,
                  [](uv_async_t* handle) { static_cast<Reactor*>(handle->data)->collect_from_threads(); });
    uv_idle_init(uv_, idle_handle_);
    poll_handle_->data = timer_handle_->data = async_handle_->data = idle_handle_->data = this;
    uv_poll_start(poll_handle_, UV_READABLE,
                  [](uv_poll_t* handle, int, int) { static_cast<Reactor*>(handle->data)->dispatch_io(); });
    uv_unref(reinterpret_cast<uv_handle_t*>(poll_handle_));
    uv_unref(reinterpret_cast<uv_handle_t*>(timer_handle_));
    uv_unref(reinterpret_cast<uv_handle_t*>(async_handle_));
}

Reactor::~Reactor() {
    signals_.reset();
    repeating_.clear();
    close_and_delete(poll_handle_);
    close_and_delete(timer_handle_);
    close_and_delete(async_handle_);
    close_and_delete(idle_handle_);
    uv_run(uv_, UV_RUN_DEFAULT);
    ::close(epoll_);
    for (TimerNode* node : heap_) node->index_ = TimerNode::kNone;
}

Reactor& Reactor::current() {
    if (!current_reactor) std::abort();   // no Loop on this thread
    return *current_reactor;
}
Reactor* Reactor::current_or_null() { return current_reactor; }

uint64_t Reactor::now() { return uv_hrtime() / 1000000; }

void Reactor::abandon_after_fork() {
    if (signals_) {
        signals_->reset_handlers();
        signals_->close_ends();
    }
    ::close(epoll_);
    ::close(uv_backend_fd(uv_));
}

void reset_after_fork() {
    if (current_reactor) current_reactor->abandon_after_fork();
    current_reactor = nullptr;
    // The parent's handlers mean nothing here.
    for (int signum = 1; signum < NSIG; ++signum) {
        struct sigaction old {};
        if (sigaction(signum, nullptr, &old) == 0 && old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) {
            ::signal(signum, SIG_DFL);
        }
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

void set_current_reactor(Reactor* reactor) { current_reactor = reactor; }

}   // namespace postcot::detail

namespace postcot {

void UniqueFd::reset() {
    if (fd_ < 0) return;
    int fd = std::exchange(fd_, -1);
    if (auto* reactor = detail::Reactor::current_or_null()) reactor->forget(fd);
    ::close(fd);
}

}   // namespace postcot
