// queued: remote. The SMTP and LMTP client: delivers over the network, many sessions at once in one process that enters
// its sandbox before it reads the first foreign byte. Sessions, DNS and TLS run on the loop; the message arrives as
// bytes and a read-only descriptor.
#pragma once

#include <string>
#include <vector>

#include "libproto/ipc/channel.h"
#include "queued/local/agent.h"

namespace postcot::queued {

// As run_local_agent(), for the transports whose master.cf command is smtp, relay or lmtp. Opens resolver, tables and
// certificates first; then, with root, becomes mail_owner (chrooted to queue_directory where the master.cf service says
// so).
int run_remote_agent(ipc::Channel channel, AgentConfig config);

// What keeps such a transport's mail in the queue, or in the clear: tables that cannot be opened, keys and certificates that cannot be read. Opens
// all that the agent will open; said at start and by `postcot check`.
std::vector<std::string> remote_problems(const AgentConfig& config);

}   // namespace postcot::queued
