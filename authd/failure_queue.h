// auth_failure_delay: answers to failed logins wait, and leave together in random order, so that their time says nothing about why they failed.
#pragma once

#include <memory>
#include <vector>

#include "libproto/runtime/loop.h"

namespace postcot::authd {

class FailureQueue {
  public:
    FailureQueue(Scope& scope, Millis delay);
    // At least `delay`; ends early when the task is cancelled or the queue was closed.
    Task<void> wait();
    // Lets all go, now and from now on: the daemon stops.
    void close();

  private:
    struct Waiter {
        std::chrono::steady_clock::time_point since;
        Event released;
    };
    Task<void> flush_loop();

    Scope& scope_;
    Millis delay_;
    bool running_ = false;
    bool closed_ = false;
    std::vector<std::shared_ptr<Waiter>> waiting_;   // shared: a cancelled task leaves its waiter to the next flush
};

}   // namespace postcot::authd
