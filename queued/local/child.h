// A child of the local agent: takes jobs whose every recipient carries an Action, and does them with one user's rights.
#pragma once

#include "libproto/runtime/fd.h"
#include "queued/local/agent.h"
#include "queued/local/children.h"

namespace postcot::queued {

// The child's whole life, right after the fork. Gives up root first of all.
int run_child(ChildRights rights, UniqueFd socket, const AgentConfig& config);

}   // namespace postcot::queued
