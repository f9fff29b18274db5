#include "queued/agents/agent_link.h"

#include <cerrno>

#include "libproto/runtime/log.h"

namespace postcot::queued {

AgentLink::AgentLink(std::string name, Scope& scope, Events events)
    : name_(std::move(name)), scope_(scope), events_(std::move(events)) {}

void AgentLink::attach(ipc::Channel channel) {
    if (channel_) {   // its end was not seen yet
        channel_.reset();
        events_.lost();
    }
    channel_ = std::make_shared<ipc::Channel>(std::move(channel));
    ready_ = false;
    stop_at_hello_ = false;
    outstanding_ = 0;
    scope_.spawn(read(channel_));
}

void AgentLink::send(const ipc::Deliver& job, std::vector<UniqueFd> fds) {
    ++outstanding_;
    channel_->post(ipc::Channel::pack(job, std::move(fds)));
}

void AgentLink::stop() {
    if (channel_ && ready_) channel_->post(ipc::Channel::pack(ipc::AgentStop{}));
    stop_at_hello_ = !ready_;
    ready_ = false;   // the next agent gets what waits
}

Task<void> AgentLink::read(std::shared_ptr<ipc::Channel> channel) {
    for (;;) {
        auto frame = co_await channel->receive();
        if (!frame) {
            if (frame.error().code == ECANCELED) co_return;
            break;
        }
        if (frame->type == ipc::AgentHello::kType) {
            auto hello = ipc::Channel::unpack<ipc::AgentHello>(*frame);
            if (!hello) break;
            max_jobs_ = hello->max_jobs > 0 ? hello->max_jobs : 1;
            ready_ = true;
            if (stop_at_hello_)
                stop();
            else
                events_.ready();
            continue;
        }
        if (frame->type == ipc::AgentStop::kType) break;   // it has answered all that it began
        auto delivered = ipc::Channel::unpack<ipc::Delivered>(*frame);
        if (!delivered) {
            log::error("delivery agent {}: {}", name_, delivered.error().text);
            break;
        }
        if (outstanding_ > 0) --outstanding_;
        events_.delivered(std::move(*delivered));
    }
    if (channel_ == channel) {
        channel_.reset();
        ready_ = false;
        outstanding_ = 0;
        events_.lost();
    }
}

}   // namespace postcot::queued
