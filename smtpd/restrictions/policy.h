// SMTPD_POLICY_README: the attributes sent to a policy service, and its answer.
#pragma once

#include <string>

#include "libproto/error.h"
#include "libproto/runtime/task.h"
#include "smtpd/context.h"
#include "smtpd/restrictions/restrictions.h"

namespace postcot::smtpd {

struct PolicyService {
    std::string address;   // "unix:private/policy" (relative to queue_directory) or "inet:host:port"
    Millis timeout, retry_delay;
    int64_t try_limit;
    std::string default_action;   // what is done when it cannot be asked
    std::string context;          // policy_context
    // As log lines name it: without its transport.
    std::string shown() const { return address.substr(address.find(':') + 1); }
};
// What stands after check_policy_service: an address, or "{ address, timeout=3s, default_action=DUNNO ... }". What is not said there is
// main.cf's smtpd_policy_service_*.
Expected<PolicyService> parse_policy_service(std::string_view argument, const config::MainCf& main);

// The result is the action= value. Asked again, after retry_delay, until try_limit.
Task<Expected<std::string>> ask_policy_service(const PolicyService& service, Stage stage, const Context& c);
std::string policy_request(Stage stage, const Context& c, std::string_view policy_context);

}   // namespace postcot::smtpd
