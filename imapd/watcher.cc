#include "imapd/watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cstring>

#include "imapd/session.h"
#include "libproto/runtime/net.h"

namespace postcot::imapd {

Watcher::Watcher(Scope& scope) : inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (inotify_) scope.spawn(read_events());
}

bool Watcher::add(Session& session, const std::vector<std::string>& paths) {
    if (!inotify_) return false;
    bool all = true;
    auto& list = watches_[&session];
    for (const std::string& path : paths) {
        int watch = inotify_add_watch(inotify_.get(), path.c_str(),
                                      IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF);
        if (watch < 0) {
            all = false;
            continue;
        }
        watchers_[watch].insert(&session);
        list.push_back(watch);
    }
    return all;
}

void Watcher::remove(Session& session) {
    auto found = watches_.find(&session);
    if (found == watches_.end()) return;
    for (int watch : found->second) {
        auto watchers = watchers_.find(watch);
        if (watchers == watchers_.end()) continue;
        watchers->second.erase(&session);
        if (!watchers->second.empty()) continue;
        inotify_rm_watch(inotify_.get(), watch);
        watchers_.erase(watchers);
    }
    watches_.erase(found);
}

void Watcher::dispatch(const char* buffer, ssize_t size) {
    for (ssize_t at = 0; at < size;) {
        inotify_event event;
        std::memcpy(&event, buffer + at, sizeof event);
        at += static_cast<ssize_t>(sizeof event + event.len);
        if (event.mask & IN_Q_OVERFLOW) {
            for (auto& [session, list] : watches_) session->wake();
        }
        auto found = watchers_.find(event.wd);
        if (found == watchers_.end()) continue;
        for (Session* session : found->second) session->wake();
        if (event.mask & IN_IGNORED) watchers_.erase(found);   // the folder is gone
    }
}

void Watcher::drain() {
    char buffer[16 * 1024];
    ssize_t n;
    while ((n = read(inotify_.get(), buffer, sizeof buffer)) > 0) dispatch(buffer, n);
}

Task<void> Watcher::read_events() {
    for (;;) {
        auto readable = co_await wait_readable(inotify_.get());
        if (!readable) co_return;
        drain();
        // A burst of deliveries is one look at the folder.
        auto slept = co_await sleep_for(Millis(20));
        if (!slept) co_return;
    }
}

}   // namespace postcot::imapd
