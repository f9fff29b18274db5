// The frame that imapd and pop3d share: listeners, greeting-to-login in the fronts, the parent that gives a logged-in
// connection to its owner's session process. A protocol brings two things: what a front says before login, and what a
// session process does after it.
//
//     parent   root, small; never parses network input. Reads framed messages of its own fronts and sessions, asks
//     authd's master socket. front    dovenull, empty chroot, sandboxed. Greeting, TLS, capability, login through
//     authd. With TLS it stays and relays. session  the mailbox owner's uid. One process serves all connections of one
//     owner; where many virtual users share one uid, a fixed
//              pool of processes, each user pinned to one by hash.
//
//     int main(int argc, char** argv) {
//         login::Protocol protocol;
//         protocol.name = "pop3";
//         protocol.front = pop3d::before_login;                       // Task<void> before_login(login::FrontClient&
//         client) protocol.make_session_process = pop3d::make_session_process; return login::run_service(protocol,
//         parse_daemon_args(argc, argv, kUsage));
//     }
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libproto/config/dovecot.h"
#include "libproto/login/front_client.h"
#include "libproto/login/logged_in.h"
#include "libproto/runtime/daemon.h"

namespace postcot::login {

// Lives in a session process, in which the owner's uid, the sandbox and the log are already set.
class SessionProcess {
  public:
    virtual ~SessionProcess() = default;
    // One connection from just after its login to its end; several run at once. Says the login's OK itself. Cancelled
    // with ECANCELED when the daemon stops.
    virtual Task<void> serve(LoggedIn session) = 0;
    // No connection is left and the process ends: stops what it has running and lets go of its stores.
    virtual Task<void> finish() { co_return; }
};

struct Protocol {
    std::string
        name;   // "imap", "pop3": the service is NAME-login, the log prefix NAME-login: and NAME(user)<pid><session>:
    // One connection from its greeting to its login or its end.
    std::function<Task<void>(FrontClient&)> front;
    std::function<std::unique_ptr<SessionProcess>(const config::DovecotConf&)> make_session_process;
    // What the protocol's sessions could not do as configured: found at start, by -t and at a reload.
    std::function<Expected<void>(const config::DovecotConf&)> check;
};

// The daemon: returns the exit status when it was told to stop.
int run_service(const Protocol& protocol, const DaemonArgs& args);

}   // namespace postcot::login
