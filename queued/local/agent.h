// queued: local. Delivers what stays on this host: the transports local, virtual, pipe, error, retry and discard of
// master.cf. Runs as root where queued was started by root, reads nothing but framed messages of queued, and forks a
// child for each uid that mailboxes belong to.
#pragma once

#include "libproto/config/postfix.h"
#include "libproto/ipc/channel.h"

namespace postcot::queued {

struct AgentConfig {
    config::MainCf main;
    config::MasterCf master;
};

// The agent's whole life, in a process of its own that has no threads and whose Loop is current: AgentHello, jobs,
// until AgentStop or the channel closes. Returns the exit status.
int run_local_agent(ipc::Channel channel, AgentConfig config);

}   // namespace postcot::queued
