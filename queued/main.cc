// NAME
//     queued - Postcot queue manager
//
// SYNOPSIS
//     queued [-c ROOT] [-t] [-v]
//     queued [-c ROOT] --hand-back | --export DIR [--keep]
//
// DESCRIPTION
//     Holds the mail that smtpd and sendmail accepted, and delivers it: what cleanup(8), pickup(8), qmgr(8), bounce(8), flush(8), showq(8), smtp(8),
//     lmtp(8), local(8), virtual(8), pipe(8), error(8) and discard(8) do in Postfix. Configuration is Postfix's, from ROOT/postfix/main.cf and
//     ROOT/postfix/master.cf (default ROOT: /etc).
//
//     A message is on disk before its sender is told so. Messages that arrive at the same time share one sync.
//
//     At its start it takes over what a Postfix left in queue_directory: each message once, with its queue id, envelope and schedule. --hand-back is the
//     way back: what is not delivered becomes queue files of Postfix's. --export writes it into a folder as files for any mail system, with a script that gives
//     them to its sendmail(1); with --keep, this is a copy. Both work while queued does not run: postcot(1) has them as commands.
//
// PROCESSES
//     The first process only starts the others and restarts what dies. The manager runs as mail_owner and owns the spool. "queued: local" runs as
//     root and becomes each recipient's user; "queued: remote" is the SMTP and LMTP client, runs as mail_owner, and gets messages as bytes and read-only
//     descriptors. Started by an ordinary user, all of them run as that user.
//
// SOCKETS AND FOLDERS, under queue_directory
//     private/intake   smtpd hands over mail            maildrop/   mail from sendmail(1), also while queued is down
//     public/control   postqueue, postsuper, postcat    journal/    the queue
//     public/pickup    wakes the pick-up                large/      texts over 128 KiB;  index/   derived: may be deleted while queued is down
//
// SIGNALS
//     SIGTERM  stop: what was accepted stays, deliveries under way get 20 seconds.  SIGHUP  reload: an error in the new configuration is
//     logged and the old one stays.
//
// DIAGNOSTICS
//     To maillog_file or syslog, in Postfix's words and under its idents (postfix/cleanup, postfix/qmgr, postfix/local, ...).
//
// SEE ALSO
//     postqueue(1), postsuper(1), sendmail(1), qmgr(8), docs/architecture.md "Queue journal"
#include <sys/prctl.h>

#include <string_view>
#include <vector>

#include "libproto/ipc/channel.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/log.h"
#include "libproto/runtime/loop.h"
#include "queued/hand_back_process.h"
#include "queued/local/agent.h"
#include "queued/manager/manager.h"
#include "queued/manager_process.h"
#include "queued/parent.h"
#include "queued/remote/agent.h"
#include "queued/unserved.h"

namespace {

using namespace postcot;

void open_log(const config::MainCf& main, bool verbose, const char* program) {
    log::Options options;
    std::string name = main.str("syslog_name");
    options.ident = (name.empty() ? "postfix" : name) + "/" + program;
    std::string file = main.str("maillog_file");
    if (file.empty()) {
        options.destination.kind = log::Destination::Kind::kSyslog;
    } else if (file == "/dev/stdout") {
        options.destination.kind = log::Destination::Kind::kStderr;
    } else {
        options.destination.kind = log::Destination::Kind::kFile;
        options.destination.path = file;
    }
    options.debug = verbose;
    log::open(std::move(options));
}

}   // namespace

int main(int argc, char** argv) {
    constexpr const char* kUsage = "usage: queued [-c ROOT] [-t] [-v] [--hand-back | --export DIR [--keep]]";
    queued::HandBackRequest hand_back;
    std::vector<char*> rest;
    for (int i = 0; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (i > 0 && word == "--hand-back") {
            hand_back.wanted = true;
        } else if (i > 0 && word == "--export" && i + 1 < argc) {
            hand_back.wanted = true;
            hand_back.folder = argv[++i];
        } else if (i > 0 && word == "--keep" && !hand_back.folder.empty()) {
            hand_back.keep = true;
        } else {
            rest.push_back(argv[i]);
        }
    }
    auto args = parse_daemon_args(static_cast<int>(rest.size()), rest.data(), kUsage);
    auto configuration = queued::Configuration::load(args.config_root);
    if (!configuration) {
        std::fprintf(stderr, "queued: fatal: %s\n", configuration.error().text.c_str());
        return 78;   // EX_CONFIG: the unit does not try again
    }
    // Tables and templates are opened here to find errors; the manager opens its own. Mail is handed back without them.
    Expected<std::unique_ptr<queued::ManagerConfig>> tried;
    if (!hand_back.wanted) tried = queued::ManagerConfig::load(configuration->main, configuration->master);
    auto unserved = queued::unserved_deliveries(configuration->main, configuration->master);
    if (!hand_back.wanted) {
        for (auto& problem : queued::remote_problems({configuration->main, configuration->master}))
            unserved.push_back(std::move(problem));
    }
    if (args.check_only) {
        for (const auto& remark : unserved) std::fprintf(stderr, "queued: warning: %s\n", remark.c_str());
        if (!tried) std::fprintf(stderr, "queued: fatal: %s\n", tried.error().text.c_str());
        return tried ? 0 : 1;
    }
    open_log(configuration->main, args.verbose, "qmgr");
    if (!tried) log::fatal("{}", tried.error().text);
    tried->reset();
    for (const auto& warning : configuration->main.warnings(&configuration->master)) log::warning("{}", warning);
    for (const auto& remark : unserved) log::warning("{}", remark);

    if (hand_back.wanted) return queued::run_hand_back(std::move(*configuration), hand_back);
    queued::ParentJobs jobs;
    jobs.manager = [&args](UniqueFd parent, queued::Configuration c) {
        return queued::run_manager(args.config_root, std::move(parent), std::move(c));
    };
    jobs.local = [verbose = args.verbose](UniqueFd fd, queued::Configuration c) {
        ::prctl(PR_SET_NAME, "queued: local");
        open_log(c.main, verbose, "local");
        Loop loop;
        return queued::run_local_agent(ipc::Channel(std::move(fd)),
                                       queued::AgentConfig{std::move(c.main), std::move(c.master)});
    };
    jobs.remote = [verbose = args.verbose](UniqueFd fd, queued::Configuration c) {
        ::prctl(PR_SET_NAME, "queued: remote");
        open_log(c.main, verbose, "smtp");
        Loop loop;
        return queued::run_remote_agent(ipc::Channel(std::move(fd)),
                                        queued::AgentConfig{std::move(c.main), std::move(c.master)});
    };
    return queued::run_parent(args.config_root, std::move(*configuration), jobs);
}
