// SMTPD_POLICY_README: the attributes sent to a policy service, and its answer.
#pragma once

#include <string>

#include "libproto/error.h"
#include "libproto/runtime/task.h"
#include "smtpd/context.h"
#include "smtpd/restrictions/restrictions.h"

namespace postcot::smtpd {

// `service`: "unix:private/policy" (relative to queue_directory) or "inet:host:port". The result is the action= value.
Task<Expected<std::string>> ask_policy_service(std::string service, Stage stage, const Context& c);
std::string policy_request(Stage stage, const Context& c);

}   // namespace postcot::smtpd
