// Delivery to a program: "|command" of aliases and .forward, mailbox_command, and pipe(8).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/ipc/delivery.h"
#include "libproto/runtime/subprocess.h"
#include "queued/local/action.h"

namespace postcot::queued {

// Runs the action's command (through a shell only if it needs one, or local_command_shell) or argv, the message as its standard input, under
// command_time_limit. One result, to be used for each recipient of the job.
Task<ipc::RecipientResult> run_command(const ipc::Deliver& deliver, int fd, const Action& action,
                                       const config::MainCf& main);

// local(8)'s environment: HOME, LOGNAME, SHELL, USER, SENDER, RECIPIENT ... with what command_expansion_filter does not allow made '_', and
// export_environment's names out of `inherited` ("NAME=value").
std::vector<std::string> command_environment(const ipc::Deliver& deliver, const Action& action,
                                             const config::MainCf& main, const std::vector<std::string>& inherited);

// A command without anything special to a shell: its words. Empty: it needs /bin/sh -c.
std::vector<std::string> plain_command_words(std::string_view command);

// sysexits.h, and "x.y.z text" as first words of the output (postconf(5), pipe(8) DIAGNOSTICS).
ipc::RecipientResult command_result(std::string_view command, const SubprocessResult& result,
                                    std::string_view sent_text);

}   // namespace postcot::queued
