// authd - authentication server
//
// SYNOPSIS
//     authd [-c root] [-t] [-v]
//
// DESCRIPTION
//     authd answers the other daemons, and programs such as a real Postfix, whether a name and a password belong together, and who that user is on this host:
//     uid, gid, home, mail. It takes its settings from root/dovecot/dovecot.conf (default root: /etc): auth_..., passdb { }, userdb { }, service auth { }.
//
//     Three kinds of process: a parent that keeps the privileges it was started with; a server (default_internal_user, in a sandbox) that reads
//     what clients say; and, where a passdb is pam or shadow, workers that run as root, take one question at a time from the server, and are
//     killed and replaced when a PAM module does not come back within a minute.
//
// PROTOCOL
//     Dovecot's authentication protocol, versions 1.2 (clients) and 1.1 (masters), on the unix_listener sockets of service auth. A socket's name says its kind:
//     auth-userdb answers lookups, auth-master lookups and the logins of fronts, login/login serves the fronts, any other name serves clients.
//     A login front gets an OK, and its parent fetches the user's fields with REQUEST, once, within 150 seconds.
//
//     Mechanisms: PLAIN and LOGIN, through Cyrus SASL (package libsasl2-modules).
//     passdb drivers: passwd-file, static, passwd, shadow, pam. userdb drivers: passwd-file, static, passwd, prefetch.
//
// PRIVILEGES
//     Starts as root to bind sockets with their owners and to run PAM. As an ordinary user everything but pam, shadow and other users' files works.
//
// SIGNALS
//     TERM stops; HUP reads the configuration again (an error keeps the old one; logins in progress end undisturbed); USR1 reopens the log file.
//
// DIAGNOSTICS
//     Logged as Dovecot does, under the prefix "auth: ". With auth_verbose = yes every failed login is explained:
//         dovecot: auth: passwd-file(user@example.com,192.0.2.1,<session>): Password mismatch
//     Exit status: 0 after TERM; 64 wrong arguments; 1 when the configuration cannot be used.
#include "authd/drivers/database.h"
#include "authd/mechanism.h"
#include "authd/parent.h"
#include "authd/settings.h"
#include "libproto/config/dovecot.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"

using namespace postcot;

static log::Options log_options(const config::DovecotConf& conf, bool verbose) {
    log::Options options;
    options.ident = "dovecot";
    options.dialect = log::Dialect::kDovecot;
    options.prefix = "auth: ";
    options.debug = verbose || conf.boolean("auth_debug");
    std::string path = conf.str("log_path");
    if (path == "syslog" || path.empty())
        options.destination.kind = log::Destination::Kind::kSyslog;
    else if (path == "/dev/stderr" || path == "/dev/stdout")
        options.destination.kind = log::Destination::Kind::kStderr;
    else
        options.destination = {log::Destination::Kind::kFile, path};
    return options;
}

int main(int argc, char** argv) {
    DaemonArgs args = parse_daemon_args(argc, argv, "usage: authd [-c root] [-t] [-v]");
    log::Options first;
    first.ident = "dovecot";
    first.dialect = log::Dialect::kDovecot;
    first.prefix = "auth: ";
    log::open(first);   // stderr, until the configuration says where

    std::string directory = args.config_root + "/dovecot";
    auto load = [directory]() -> Expected<authd::Settings> {
        auto conf = config::DovecotConf::load(directory);
        if (!conf) return fail(conf.error());
        return authd::load_settings(*conf);
    };
    auto conf = config::DovecotConf::load(directory);
    if (!conf) die_of_configuration(conf.error().text);
    auto settings = authd::load_settings(*conf);
    if (!settings) die_of_configuration(settings.error().text);
    if (args.check_only) {
        Loop loop;
        if (auto started = authd::start_sasl(settings->mechanisms); !started) log::fatal("{}", started.error().text);
        for (const auto& database : settings->passdbs) {
            if (database.driver == "pam" || database.driver == "shadow") continue;   // workers' own
            if (auto db = authd::open_passdb(database, nullptr); !db) log::fatal("{}", db.error().text);
        }
        for (const auto& database : settings->userdbs) {
            if (auto db = authd::open_userdb(database); !db) log::fatal("{}", db.error().text);
        }
        return 0;
    }
    log::open(log_options(*conf, args.verbose));
    for (const auto& warning : settings->warnings) log::warning("{}", warning);

    Loop loop;
    authd::Parent parent(std::move(*settings), load);
    return loop.run_until_complete(parent.run());
}
