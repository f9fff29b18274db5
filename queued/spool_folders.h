// The folders below queue_directory, and who may use them.
#pragma once

#include <string>

#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/sandbox.h"

namespace postcot::queued {

// mail_owner and setgid_group, when we are root.
struct SpoolAccounts {
    bool root = false;
    Account owner, postdrop;
    static Expected<SpoolAccounts> find(const config::MainCf& main);
};

// Makes what is missing. `postfix`: also what only Postfix's own daemons need.
Expected<void> prepare_folders(const std::string& queue_directory, const SpoolAccounts& accounts, bool postfix = false);

// Two managers on one journal would destroy it. EBUSY when another one still has it after `seconds`.
Expected<UniqueFd> lock_queue(const std::string& queue_directory, int seconds);

}   // namespace postcot::queued
