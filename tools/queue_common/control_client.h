// One request to queued's control socket, for programs that wait for the answer.
#pragma once

#include <functional>

#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/ipc/queue_control.h"

namespace postcot::tools {

struct ControlHandlers {
    std::function<void(const ipc::ControlItem&)> item;
    std::function<void(const ipc::ControlText&)> text;
};

// Errors: the connection's errno (ENOENT, ECONNREFUSED: queued is not running; EACCES).
Expected<ipc::ControlDone> control(const config::MainCf& main, ipc::ControlRequest request,
                                   ControlHandlers handlers = {});

}   // namespace postcot::tools
