// queued's end of the channel to one delivery agent. The agent may die and be started again: attach() takes the new channel.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "libproto/ipc/channel.h"
#include "libproto/ipc/delivery.h"
#include "libproto/runtime/loop.h"

namespace postcot::queued {

class AgentLink {
  public:
    struct Events {
        std::function<void()> ready;                    // takes work (again)
        std::function<void(ipc::Delivered)> delivered;
        std::function<void()> lost;                     // unanswered jobs will not be answered
    };
    AgentLink(std::string name, Scope& scope, Events events);

    void attach(ipc::Channel channel);
    bool ready() const { return ready_ && outstanding_ < max_jobs_; }
    // Only when ready().
    void send(const ipc::Deliver& job, std::vector<UniqueFd> fds);
    void stop();   // asks the agent to finish
    size_t outstanding() const { return outstanding_; }

  private:
    Task<void> read(std::shared_ptr<ipc::Channel> channel);

    std::string name_;
    Scope& scope_;
    Events events_;
    std::shared_ptr<ipc::Channel> channel_;   // shared with the task that reads it
    bool ready_ = false;
    bool stop_at_hello_ = false;   // stop() came before the agent had said hello: it has read the old configuration
    size_t outstanding_ = 0;
    size_t max_jobs_ = 0;
};

}   // namespace postcot::queued
