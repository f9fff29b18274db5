// pickup(8): takes mail that postdrop, ours or Postfix's, left in $queue_directory/maildrop. What lies there was written by whoever may run sendmail: it is bounded and
// checked before anything is believed.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

class Pickup {
  public:
    // `listening` is public/pickup: a connection there means "look".
    Pickup(QueueManager& manager, Scope& scope, UniqueFd listening);
    Task<void> listen();
    Task<void> run();    // scans when woken and every minute, until cancelled
    Task<void> drain();  // until nothing is left that can be taken
    void wake() { work_.set(); }

  private:
    void scan();
    void take(const std::string& name);
    // Both fill in what the file says, and give the reason why it is of no use.
    Expected<void> read_ours(int fd, uint64_t size, std::string start, Submission& submission);
    Expected<void> read_postfix(int fd, uint64_t size, Submission& submission);

    QueueManager& manager_;
    Listener listener_;
    Event work_;
    std::set<std::string> under_way_;
};

}   // namespace postcot::queued
