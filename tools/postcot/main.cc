// NAME
//     postcot, postfix, dovecot - start, stop and check the mail system
//
// SYNOPSIS
//     postcot [-v] start [-c ROOT] [--foreground] [--only NAME,NAME]
//     postcot stop|reload|status|check|flush [-c ROOT]
//     postcot hand-back [-c ROOT]
//     postcot export-queue DIR [--keep] [-c ROOT]
//     postfix [-c DIRECTORY] [-v] start|start-fg|stop|abort|reload|status|check|flush
//     dovecot [-F] [-c FILE] [-n|-a|--version] [stop|reload]
//
// DESCRIPTION
//     On a host without systemd, postcot is a small supervisor. It starts the five daemons in order (authd, queued, smtpd, imapd,
//     pop3d), each when the one before says that it is ready, and starts again what dies: after 1 second, then 2, 4 ... up
//     to 60. ROOT (default /etc) holds postfix/main.cf, postfix/master.cf and dovecot/dovecot.conf. postfix commands queued
//     and smtpd only, dovecot authd, imapd and pop3d only; each half may be absent, or run under a supervisor of its own.
//
//     Where systemd runs the units of the packages and ROOT is /etc, start, stop, reload and status act on these units.
//
//     start      Creates missing folders, starts the daemons and returns when all are ready. --foreground stays.
//     stop       SIGTERM to the listeners, then to queued, then to authd; SIGKILL after 20 seconds each.
//     reload     SIGHUP: every daemon reads its configuration again, and keeps the old one if the new one is wrong.
//     status     Exit status 0 when the system runs, 1 when it does not.
//     check      Reads the whole configuration, names every setting that is not honoured, creates missing folders and
//                reports wrong owners and modes. Exit status 1 when something needs a hand.
//     flush      Tries to deliver all deferred mail now (postqueue -f).
//     hand-back  Gives undelivered mail to Postfix, as files of its queue: envelope, DSN parameters, hold and the reasons of deferral are kept. For
//                the way back; the removal of the package postcot-mta does it. queued must be stopped.
//     export-queue  Moves undelivered mail into the folder DIR, for any mail system: ID.eml, ID.envelope and the script `reinject`, which gives
//                them to the sendmail(1) that is installed. --keep copies. queued must be stopped.
//
// PRIVILEGES
//     Runs as who starts it; root for ports below 1024 and separate accounts. It reads the configuration, and nothing from the
//     network. Daemons get SIGTERM when the supervisor dies: none is left behind.
//
// FILES
//     $queue_directory/pid/master.pid, $base_dir/master.pid: locked while the supervisor of that half lives
//
// DIAGNOSTICS
//     The supervisor logs as postfix/master (dovecot: master when it runs only that half). Problems of a command go to standard
//     error, in Postfix's words.
//
// SIGNALS
//     SIGTERM, SIGINT stop; SIGHUP reload

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "libproto/runtime/files.h"
#include "tools/postcot/commands.h"

namespace {

using namespace postcot;
using namespace postcot::control;

constexpr int kUsageError = 64;
const std::vector<Half> kBoth = {Half::kPostfix, Half::kDovecot};

int usage(const char* text) {
    std::fprintf(stderr, "usage: %s\n", text);
    return kUsageError;
}

std::string without_slash(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

std::string parent_of(const std::string& path) {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::vector<std::string> split_names(const std::string& text) {
    std::vector<std::string> names;
    size_t at = 0;
    while (at <= text.size()) {
        size_t comma = std::min(text.find(',', at), text.size());
        if (comma > at) names.push_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    return names;
}

int status_of(const Voice& voice, const Settings& settings, Half half, const std::string& system) {
    pid_t pid = running(settings, half);
    if (pid > 0) {
        voice.say("the " + system + " is running: PID: " + std::to_string(pid));
        return 0;
    }
    voice.say("the " + system + " is not running");
    return 1;
}

int flush(const Voice& voice, const std::string& root) {
    return run_sibling(voice, "postqueue", {"-c", root + "/postfix", "-f"});
}

// Both are queued's work: the journal is its own.
int give_queue(const Voice& voice, const std::string& root, std::vector<std::string> options) {
    options.insert(options.begin(), {"-c", root});
    return run_sibling(voice, "queued", options);
}

int postcot_command(const std::vector<std::string>& arguments) {
    constexpr const char* kUsage =
        "postcot [-v] start|stop|reload|status|check|flush|hand-back|export-queue DIR [--keep] [-c ROOT] "
        "[--foreground] [--only NAME,NAME]";
    Voice voice{"postcot"};
    std::string command, root = "/etc", folder;
    bool keep = false;
    StartOptions options;
    options.halves = kBoth;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        bool more = i + 1 < arguments.size();
        if (argument == "-c" && more) {
            root = without_slash(arguments[++i]);
        } else if (argument == "--only" && more) {
            options.only = split_names(arguments[++i]);
        } else if (argument == "--foreground" || argument == "-F") {
            options.foreground = true;
        } else if (argument == "-v" || argument == "--verbose") {
            options.verbose = true;
        } else if (argument == "--version") {
            std::printf("postcot %s\n", POSTCOT_VERSION);
            return 0;
        } else if (argument == "--help" || argument == "-h") {
            std::printf("usage: %s\n", kUsage);
            return 0;
        } else if (argument == "--keep") {
            keep = true;
        } else if (command == "export-queue" && folder.empty() && argument[0] != '-') {
            folder = argument;
        } else if (command.empty() && argument[0] != '-') {
            command = argument;
        } else {
            return usage(kUsage);
        }
    }
    if (keep && command != "export-queue") return usage(kUsage);
    if (command == "start") return start(voice, root, options);
    if (command.empty()) return usage(kUsage);
    if (command == "flush") return flush(voice, root);
    if (command == "hand-back") return give_queue(voice, root, {"--hand-back"});
    if (command == "export-queue") {
        if (folder.empty()) return usage(kUsage);
        std::vector<std::string> words = {"--export", folder};
        if (keep) words.push_back("--keep");
        return give_queue(voice, root, std::move(words));
    }
    Settings settings = read_settings(root);
    if (command == "stop") return stop(voice, settings, kBoth);
    if (command == "reload") return reload(voice, settings, kBoth);
    if (command == "check") return check(voice, settings, kBoth);
    if (command == "status") {
        int status = settings.pid_files.empty() ? 1 : 0;
        for (const auto& [half, file] : settings.pid_files) {
            status |= status_of(voice, settings, half,
                                half == Half::kPostfix ? "Postfix mail system" : "Dovecot mailbox system");
        }
        return status;
    }
    return usage(kUsage);
}

// postfix(1). Its -c names the folder of main.cf; a ROOT is understood too.
int postfix_command(const std::vector<std::string>& arguments) {
    constexpr const char* kUsage = "postfix [-c DIRECTORY] [-v] start|start-fg|stop|abort|reload|status|check|flush";
    Voice voice{"postfix/postfix-script"};
    std::string command, directory = "/etc/postfix";
    StartOptions options;
    options.halves = {Half::kPostfix};
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "-c" && i + 1 < arguments.size()) {
            directory = without_slash(arguments[++i]);
        } else if (argument == "-v") {
            options.verbose = true;
        } else if (argument == "-D") {
            continue;   // debugging of Postfix's own master
        } else if (command.empty() && argument[0] != '-') {
            command = argument;
        } else {
            return usage(kUsage);
        }
    }
    if (command.empty()) return usage(kUsage);
    std::string root = Files::disk().exists(directory + "/postfix/main.cf") ? directory : parent_of(directory);
    if (root != directory && directory != without_slash(root) + "/postfix" && directory != "/postfix") {
        return voice.refuse("the folder of main.cf must be called postfix: " + directory);
    }
    Settings settings = read_settings(root);
    if (!settings.pid_files.count(Half::kPostfix)) {
        return voice.refuse("open " + directory + "/main.cf: No such file or directory");
    }
    const std::vector<Half> half = {Half::kPostfix};
    bool runs = running(settings, Half::kPostfix) > 0;
    if (command == "start" || command == "start-fg") {
        if (runs) return voice.refuse("the Postfix mail system is already running");
        check(voice, settings, half);
        voice.say("starting the Postfix mail system");
        options.foreground = command == "start-fg";
        return start(voice, root, options);
    }
    if (command == "stop") {
        if (runs) voice.say("stopping the Postfix mail system");
        return stop(voice, settings, half);
    }
    if (command == "abort") {
        if (!runs) return voice.refuse("the Postfix mail system is not running");
        voice.say("aborting the Postfix mail system");
        return stop(voice, settings, half);
    }
    if (command == "reload") {
        if (runs) voice.say("refreshing the Postfix mail system");
        return reload(voice, settings, half);
    }
    if (command == "status") return status_of(voice, settings, Half::kPostfix, "Postfix mail system");
    if (command == "check") return check(voice, settings, half);
    if (command == "flush") {
        if (!runs) return voice.refuse("the Postfix mail system is not running");
        return flush(voice, root);
    }
    voice.say("error: unknown command: '" + command + "'");
    return voice.refuse("usage: postfix start (or stop, reload, abort, flush, check, status, start-fg)");
}

// dovecot(1). Its -c names dovecot.conf.
int dovecot_command(const std::vector<std::string>& arguments) {
    constexpr const char* kUsage = "dovecot [-F] [-c FILE] [-n|-a|--version] [stop|reload]";
    Voice voice{"dovecot"};
    std::string command, file = "/etc/dovecot/dovecot.conf", print;
    StartOptions options;
    options.halves = {Half::kDovecot};
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "-c" && i + 1 < arguments.size()) {
            file = arguments[++i];
        } else if (argument == "-F") {
            options.foreground = true;
        } else if (argument == "-n" || argument == "-a") {
            print = argument;
        } else if (argument == "--version") {
            std::printf("2.3 (postcot %s)\n", POSTCOT_VERSION);
            return 0;
        } else if (command.empty() && (argument == "stop" || argument == "reload")) {
            command = argument;
        } else {
            return usage(kUsage);
        }
    }
    if (!print.empty()) return run_sibling(voice, "doveconf", {print, "-c", file});
    std::string directory = parent_of(file);
    std::string root = parent_of(directory);
    if (file != without_slash(root) + "/dovecot/dovecot.conf") {
        return voice.refuse("the configuration must be called .../dovecot/dovecot.conf: " + file);
    }
    Settings settings = read_settings(root);
    if (!settings.pid_files.count(Half::kDovecot)) {
        return voice.refuse("open(" + file + ") failed: No such file or directory");
    }
    const std::vector<Half> half = {Half::kDovecot};
    if (command == "stop") return stop(voice, settings, half);
    if (command == "reload") return reload(voice, settings, half);
    if (pid_t pid = running(settings, Half::kDovecot)) {
        std::fprintf(stderr, "Fatal: Dovecot is already running with PID %d (read from %s)\n", static_cast<int>(pid),
                     settings.pid_files.at(Half::kDovecot).c_str());
        return 89;   // as Dovecot's own
    }
    return start(voice, root, options);
}

}   // namespace

int main(int argc, char** argv) {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    const char* slash = std::strrchr(argv[0], '/');
    std::string name = slash ? slash + 1 : argv[0];
    if (name == "postfix") return postfix_command(arguments);
    if (name == "dovecot") return dovecot_command(arguments);
    return postcot_command(arguments);
}
