// authorized_submit_users, authorized_mailq_users, authorized_flush_users: who of the local users may use a set-gid queue tool.
#pragma once

#include "libproto/config/postfix.h"

namespace postcot::tools {

// Ends the program with status 77 and Postfix's "User NAME(UID) is not allowed to ..." when the user who runs it is not on the list; root and mail_owner
// always may, but for submitting.
void require_authorized(const config::MainCf& main, const char* program, const char* parameter, const char* to_do);

}   // namespace postcot::tools
