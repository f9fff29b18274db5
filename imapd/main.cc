// imapd(8) - IMAP server
//
// SYNOPSIS
//     imapd [-c ROOT] [-t] [-v]
//
// DESCRIPTION
//     imapd serves the mail of the host's users over IMAP4rev1 (RFC 3501). It reads ROOT/dovecot/dovecot.conf (default root: /etc) and takes the
//     place of Dovecot's imap-login and imap services: same settings, same log lines, same mailboxes.
//
//     The parent process binds the listeners of `service imap-login` and forks the fronts. A front (account default_login_user, empty chroot)
//     talks to a client until authd has said who it is. The parent then gives the connection to the session process of the mailbox's owner,
//     which runs under the owner's uid and serves all of that owner's connections. Under TLS the front keeps the keys and relays.
//
// PROTOCOL
//     IMAP4rev1 with SASL-IR, LITERAL+, ID, ENABLE, IDLE, NAMESPACE, UIDPLUS, UNSELECT, CHILDREN, SPECIAL-USE,
//     LIST-EXTENDED, LIST-STATUS, MOVE, MULTIAPPEND, SORT, THREAD, I18NLEVEL=1, ESEARCH, SEARCHRES, WITHIN, CONDSTORE, QRESYNC, BINARY,
//     PREVIEW, SAVEDATE, STATUS=SIZE, APPENDLIMIT.
//
// SIGNALS
//     SIGTERM, SIGINT  stop: clients are told BYE.
//     SIGHUP           read the configuration again; on an error the old one stays. Sessions keep the one they began with.
//     SIGUSR1          open the log file again.
//
// DIAGNOSTICS
//     Log lines are Dovecot's: "imap-login: Login: user=<...>, ..." and "imap(user)<pid><session>: ...".
//
// FILES
//     $base_dir/empty      the fronts' root folder
//     $base_dir/imap-who   answers `doveadm who`
//     $base_dir/login/login, $base_dir/auth-master   authd
#include "imapd/front.h"
#include "imapd/process.h"
#include "libmaildir/options.h"
#include "libproto/login/service.h"

int main(int argc, char** argv) {
    postcot::DaemonArgs args = postcot::parse_daemon_args(argc, argv, "usage: imapd [-c ROOT] [-t] [-v]");
    postcot::login::Protocol protocol;
    protocol.name = "imap";
    protocol.front = postcot::imapd::before_login;
    protocol.make_session_process = postcot::imapd::make_session_process;
    protocol.check = [](const postcot::config::DovecotConf& conf) {
        return postcot::maildir::check_locations(conf, "imap");
    };
    return postcot::login::run_service(protocol, args);
}
