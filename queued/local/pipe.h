// pipe(8): a master.cf service's argv as a delivery.
#pragma once

#include "libproto/config/postfix.h"
#include "queued/local/decision.h"

namespace postcot::queued {

// One command for all recipients of `deliver`.
Decision decide_pipe(const ipc::Deliver& deliver, const config::MasterService& service, const config::MainCf& main);

}   // namespace postcot::queued
