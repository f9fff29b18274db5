// Idle connections that may serve one more message (postconf(5) smtp_connection_cache_on_demand, smtp_connection_cache_destinations).
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <string>

#include "libproto/runtime/loop.h"
#include "queued/remote/session.h"

namespace postcot::queued {

class ConnectionCache {
  public:
    // `scope`: where QUITs of the expired are said.
    explicit ConnectionCache(Scope& scope, size_t max_idle = 200) : scope_(scope), max_idle_(max_idle) {}

    // `key`: transport, nexthop, and whatever else must agree.
    void keep(const std::string& key, std::unique_ptr<Session> session, Millis idle);
    std::unique_ptr<Session> take(const std::string& key);
    // Lets go what has been idle too long, or (`all`) everything.
    void expire(bool all = false);

  private:
    struct Idle {
        std::string key;
        std::unique_ptr<Session> session;
        std::chrono::steady_clock::time_point until;
    };
    Scope& scope_;
    size_t max_idle_;
    std::list<Idle> idle_;   // oldest first
};

}   // namespace postcot::queued
