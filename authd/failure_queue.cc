#include "authd/failure_queue.h"

#include <algorithm>
#include <random>

namespace postcot::authd {

FailureQueue::FailureQueue(Scope& scope, Millis delay) : scope_(scope), delay_(delay) {}

Task<void> FailureQueue::wait() {
    if (closed_ || delay_ <= Millis(0)) co_return;
    auto waiter = std::make_shared<Waiter>();
    waiter->since = Loop::current().now();
    waiting_.push_back(waiter);
    if (!running_) {
        running_ = true;
        scope_.spawn(flush_loop());
    }
    (void)co_await waiter->released.wait();
}

Task<void> FailureQueue::flush_loop() {
    while (!waiting_.empty() && !closed_) {
        auto age = std::chrono::duration_cast<Millis>(Loop::current().now() - waiting_.front()->since);
        if (age < delay_) {
            auto slept = co_await sleep_for(delay_ - age);
            if (!slept) break;
            continue;
        }
        auto now = Loop::current().now();
        auto young = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const auto& waiter) { return now - waiter->since < delay_; });
        std::vector<std::shared_ptr<Waiter>> released(waiting_.begin(), young);
        waiting_.erase(waiting_.begin(), young);
        std::random_device seed;
        std::shuffle(released.begin(), released.end(), seed);
        for (auto& waiter : released) waiter->released.set();
    }
    running_ = false;
    if (closed_) close();
}

void FailureQueue::close() {
    closed_ = true;
    auto released = std::move(waiting_);
    waiting_.clear();
    for (auto& waiter : released) waiter->released.set();
}

}   // namespace postcot::authd
