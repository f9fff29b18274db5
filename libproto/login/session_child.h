// Inside libproto/login: the main loop of a session process.
#pragma once

#include "libproto/login/logged_in.h"
#include "libproto/login/service.h"

namespace postcot::login {

// Runs in the forked child, still as root; `first` names the owner.
int run_session_child(const Protocol& protocol, const config::DovecotConf& conf, int channel_fd, const LoggedIn& first);

}   // namespace postcot::login
