// One inotify instance for all idling sessions of a process (stock limits allow 128 instances per user). Without inotify, idling sessions poll.
#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot::imapd {

class Session;

class Watcher {
  public:
    explicit Watcher(Scope& scope);

    // False: some path could not be watched; the session must poll.
    bool add(Session& session, const std::vector<std::string>& paths);
    void remove(Session& session);

  private:
    Task<void> read_events();
    void drain();
    void dispatch(const char* buffer, ssize_t size);
    UniqueFd inotify_;
    std::map<int, std::set<Session*>> watchers_;   // by watch descriptor: the same folder is watched once
    std::map<Session*, std::vector<int>> watches_;
};

}   // namespace postcot::imapd
