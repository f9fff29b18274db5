// NAME
//        pop3d - Postcot POP3 server
//
// SYNOPSIS
//        pop3d [-c config_root] [-t] [-v]
//
// DESCRIPTION
//        The POP3 server gives a user's INBOX to POP3 clients (RFC 1939) on the listeners of dovecot.conf's "service pop3-login":
//        pop3 on port 110 with STLS, pop3s on port 995 with TLS from the first octet.
//
//        Three kinds of processes share the work. Fronts (dovenull, in an empty chroot) greet, negotiate TLS and log in through
//        authd. The parent (root) reads no network input; it gives a logged-in connection to the session process of its owner,
//        which runs under the owner's uid and is the only one to touch mail.
//
//        The maildrop is shared: IMAP sessions and deliveries go on meanwhile. With pop3_lock_session = yes one POP3 session at a
//        time has it. Deletions happen at QUIT; what was retrieved gets \Seen unless pop3_no_flag_updates = yes.
//
// STANDARDS
//        RFC 1939 (POP3), RFC 2449 (CAPA, RESP-CODES, PIPELINING), RFC 2595 (STLS), RFC 3206 (AUTH-RESP-CODE), RFC 5034 (SASL).
//        TOP and UIDL are there; APOP, LAST and UTF8 are not.
//
// SIGNALS
//        SIGTERM ends: sessions are told and end without deleting. SIGHUP reads dovecot.conf again; a broken one is logged and the old one
//        kept.
//
// DIAGNOSTICS
//        Logged as Dovecot does: "pop3-login: Login: user=<...>, method=PLAIN, ...", and at the end of a session
//        "pop3(user)<pid><session>: Disconnected: Logged out top=0/0, retr=1/500, del=0/1, size=1234".
//
// CONFIGURATION
//        dovecot.conf: pop3_uidl_format, pop3_logout_format, pop3_lock_session, pop3_no_flag_updates, pop3_client_workarounds,
//        pop3_fast_size_lookups (sizes are always cached), mail_location, namespace, service pop3-login, ssl*, login_*.
//
// SEE ALSO
//        imapd(8), authd(8), doveconf(1)
#include "libproto/login/service.h"
#include "pop3d/front.h"
#include "pop3d/process.h"
#include "pop3d/settings.h"

int main(int argc, char** argv) {
    using namespace postcot;
    login::Protocol protocol;
    protocol.name = "pop3";
    protocol.front = pop3d::before_login;
    protocol.make_session_process = pop3d::make_session_process;
    protocol.check = pop3d::check_settings;
    return login::run_service(protocol, parse_daemon_args(argc, argv, "usage: pop3d [-c config_root] [-t] [-v]"));
}
