#include "queued/remote/connection_cache.h"

namespace postcot::queued {

namespace {

Task<void> say_quit(std::unique_ptr<Session> session) { co_await session->quit(); }

}   // namespace

void ConnectionCache::keep(const std::string& key, std::unique_ptr<Session> session, Millis idle) {
    if (idle_.size() >= max_idle_) {
        scope_.spawn(say_quit(std::move(idle_.front().session)));
        idle_.pop_front();
    }
    Idle entry;
    entry.key = key;
    entry.session = std::move(session);
    entry.until = std::chrono::steady_clock::now() + idle;
    idle_.push_back(std::move(entry));
}

std::unique_ptr<Session> ConnectionCache::take(const std::string& key) {
    auto now = std::chrono::steady_clock::now();
    for (auto entry = idle_.begin(); entry != idle_.end(); ++entry) {
        if (entry->key != key || entry->until < now) continue;
        auto session = std::move(entry->session);
        idle_.erase(entry);
        return session;
    }
    return nullptr;
}

void ConnectionCache::expire(bool all) {
    auto now = std::chrono::steady_clock::now();
    for (auto entry = idle_.begin(); entry != idle_.end();) {
        if (!all && entry->until >= now) {
            ++entry;
            continue;
        }
        scope_.spawn(say_quit(std::move(entry->session)));
        entry = idle_.erase(entry);
    }
}

}   // namespace postcot::queued
