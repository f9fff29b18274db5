// What all connections of one user share in a session process: the store, its mutex, and the news that one session has for the others.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "libmaildir/store.h"
#include "libproto/runtime/loop.h"

namespace postcot::imapd {

class Session;

class Owner {
  public:
    explicit Owner(std::unique_ptr<maildir::MailStore> store) : store_(std::move(store)) {}

    // Runs fn(store) on the thread pool with the store to itself. Other owners of this process go on meanwhile.
    template <class Fn>
    Task<std::invoke_result_t<Fn, maildir::MailStore&>> with_store(Fn fn) {
        auto guard = co_await mutex_.lock();
        auto call = [this, &fn] { return fn(*store_); };
        co_return co_await blocking(call);
    }

    void join(Session& session) { sessions_.insert(&session); }
    void leave(Session& session);
    // Something changed in `folder`: sessions that idle there look at it. `origin` knows already.
    void changed(const std::string& folder, const Session* origin);
    bool idle_since(std::chrono::steady_clock::time_point before) const { return sessions_.empty() && left_ < before; }

  private:
    std::unique_ptr<maildir::MailStore> store_;
    Mutex mutex_;
    std::set<Session*> sessions_;
    std::chrono::steady_clock::time_point left_ = std::chrono::steady_clock::now();
};

}   // namespace postcot::imapd
