// The server side of ipc/queue.h: smtpd's workers hand over mail here. Connections are few and long; submissions on one run side by side.
#pragma once

#include <set>
#include <string>

#include "libproto/ipc/channel.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

class IntakeServer {
  public:
    IntakeServer(QueueManager& manager, Scope& scope, UniqueFd listening);
    Task<void> run();   // until cancelled

  private:
    struct Connection;
    Task<void> serve(std::shared_ptr<Connection> connection);
    void handle(const std::shared_ptr<Connection>& connection, const ipc::Frame& frame);

    QueueManager& manager_;
    Scope& scope_;
    Listener listener_;
};

}   // namespace postcot::queued
