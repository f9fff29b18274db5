// Where mail would be sent that nobody takes: transports that no line of master.cf serves, sockets that are not there. Such mail waits in the queue; said at
// start and by `postcot check`, before the first message waits.
#pragma once

#include <string>
#include <vector>

#include "libproto/config/postfix.h"

namespace postcot::queued {

std::vector<std::string> unserved_deliveries(const config::MainCf& main, const config::MasterCf& master);

}   // namespace postcot::queued
