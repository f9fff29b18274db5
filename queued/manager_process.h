// The queue manager's process: folders and sockets, then its sandbox, then the queue until SIGTERM.
#pragma once

#include <string>

#include "libproto/runtime/fd.h"
#include "queued/parent.h"

namespace postcot::queued {

int run_manager(const std::string& config_root, UniqueFd parent, Configuration configuration);

}   // namespace postcot::queued
