// The first process of queued. It stays as it was started (root, on a mail host), reads nothing but its configuration and two bytes of its own
// child, and keeps three processes alive: the queue manager (mail_owner), the local delivery agent (root) and the remote one (mail_owner).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/runtime/fd.h"

namespace postcot::queued {

struct Configuration {
    config::MainCf main;
    config::MasterCf master;
    static Expected<Configuration> load(const std::string& root);
};

// Frames of the parent's socket to the manager: type, with one descriptor (an agent's channel).
inline constexpr uint16_t kLocalAgentChannel = 0x0401;
inline constexpr uint16_t kRemoteAgentChannel = 0x0402;

struct ParentJobs {
    std::function<int(UniqueFd parent, Configuration)> manager;
    std::function<int(UniqueFd channel, Configuration)> local;
    std::function<int(UniqueFd channel, Configuration)> remote;
};

// Until SIGTERM or SIGINT; the exit status. SIGHUP: the manager reloads and both agents are replaced.
int run_parent(const std::string& config_root, Configuration configuration, const ParentJobs& jobs);

}   // namespace postcot::queued
