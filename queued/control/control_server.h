// The server side of ipc/queue_control.h.
#pragma once

#include "libproto/ipc/channel.h"
#include "libproto/ipc/queue_control.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "queued/intake/pickup.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

class ControlServer {
  public:
    ControlServer(QueueManager& manager, Pickup& pickup, Scope& scope, UniqueFd listening);
    Task<void> run();

  private:
    Task<void> serve(UniqueFd fd);
    Task<ipc::ControlDone> answer(ipc::Channel& channel, ipc::ControlRequest request, bool privileged);
    Task<ipc::ControlDone> list(ipc::Channel& channel);
    Task<ipc::ControlDone> show(ipc::Channel& channel, std::string id);
    Task<ipc::ControlDone> each(ipc::Channel& channel, ipc::ControlRequest request);
    bool act(ipc::ControlVerb verb, const std::string& id);

    QueueManager& manager_;
    Pickup& pickup_;
    Scope& scope_;
    Listener listener_;
};

}   // namespace postcot::queued
