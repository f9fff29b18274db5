// Stands in for the SMTP client in a build without queued/remote/agent.cc (the linker takes that one when it is there): mail for other hosts waits.
#include <unistd.h>

#include "libproto/ipc/delivery.h"
#include "queued/remote/agent.h"

namespace postcot::queued {

namespace {

Task<int> wait_and_refuse(ipc::Channel channel) {
    ipc::AgentHello hello;
    hello.max_jobs = 100;
    hello.pid = static_cast<uint32_t>(::getpid());
    channel.post(ipc::Channel::pack(hello));
    for (;;) {
        auto frame = co_await channel.receive();
        if (!frame || frame->type == ipc::AgentStop::kType) co_return 0;
        auto deliver = ipc::Channel::unpack<ipc::Deliver>(*frame);
        if (!deliver) co_return 1;
        ipc::Delivered delivered;
        delivered.job = deliver->job;
        for (const auto& recipient : deliver->recipients) {
            ipc::RecipientResult result;
            result.index = recipient.index;
            result.dsn = "4.3.5";
            result.text = "mail transport unavailable: the SMTP client is not part of this build";
            delivered.results.push_back(std::move(result));
        }
        channel.post(ipc::Channel::pack(delivered));
    }
}

}   // namespace

int run_remote_agent(ipc::Channel channel, AgentConfig) { return Loop::current().run_until_complete(wait_and_refuse(std::move(channel))); }

}   // namespace postcot::queued
