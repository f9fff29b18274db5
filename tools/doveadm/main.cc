// doveadm - administration of the IMAP, POP3 and authentication daemons
//
// SYNOPSIS
//     doveadm [-c file] [-Dv] [-f formatter] command [arguments]
//
// DESCRIPTION
//     auth test [-a socket] [-x name=value]... user [password]      is this the user's password? (exit 0 yes, 77 no, 75 not known now)
//     auth login [-a socket] [-m socket] [-x name=value]... user [password]      the same, and the user's fields as a login gets them
//     auth lookup [-a socket] [-x name=value]... [-f field] user...              what the passdb says without a password
//     auth cache flush [-a socket] [user...]
//     user [-a socket] [-x name=value]... [-f field] [-e value] [-u] mask...     who a user is here; with * or ?, who there is
//     who [-1] [user mask] [address/bits]                                        who is logged in
//     log errors [-s timestamp], log find
//     pw [-l] [-p password] [-r rounds] [-s scheme] [-t hash] [-V]
//     reload, stop, config [doveconf arguments]
//
//     Options and output are Dovecot's. Other commands of its doveadm are not there yet: they end with status 64.
//
// OPTIONS
//     -c file     the configuration file, default /etc/dovecot/dovecot.conf; a folder that holds dovecot.conf or dovecot/dovecot.conf will do
//     -f format   flow, pager, tab or table
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/doveadm/doveadm.h"

using namespace postcot::doveadm;

namespace {

struct Command {
    const char* name;   // one word, or two
    const char* arguments;
    int (*run)(Context&, const Arguments&);
};

constexpr Command kCommands[] = {
    {"auth cache flush", "[-a <master socket path>] [<user> [...]]", auth_cache_flush},
    {"auth login", "[-a <auth-login socket path>] [-m <auth-master socket path>] [-x <auth info>] <user> [<password>]",
     auth_login},
    {"auth lookup", "[-a <userdb socket path>] [-x <auth info>] [-f field] <user> [<user> [...]]", auth_lookup},
    {"auth test", "[-a <auth socket path>] [-x <auth info>] <user> [<password>]", auth_test},
    {"config", "[doveconf parameters]", show_config},
    {"log errors", "[-s <min_timestamp>]", log_errors},
    {"log find", "", log_find},
    {"pw", "[-l] [-p plaintext] [-r rounds] [-s scheme] [-t hash] [-u user] [-V]", pw},
    {"reload", "", reload},
    {"stop", "", stop},
    {"user", "[-a <userdb socket path>] [-x <auth info>] [-f field] [-e <value>] [-u] <user mask> [<user mask> [...]]",
     user},
    {"who", "[-1] [<user mask>] [<ip/bits>]", who},
};

// Dovecot's commands that are not here: named, so that nobody takes them for misspelt.
constexpr const char* kNotYet[] = {
    "altmove", "backup",   "batch",   "copy",    "deduplicate", "dict",         "director",   "dsync-server",
    "dump",    "exec",     "expunge", "fetch",   "flags",       "force-resync", "fs",         "import",
    "index",   "instance", "kick",    "mailbox", "move",        "oldstats",     "penalty",    "process",
    "proxy",   "purge",    "quota",   "acl",     "fts",         "rebuild",      "replicator", "save",
    "search",  "service",  "sieve",   "sis",     "stats",       "sync",         "zlibconnect"};

int usage(FILE* out, std::string_view group) {
    std::fprintf(out, "usage: doveadm [-c <file>] [-Dv] [-f <formatter>] <command> [<args>]\n");
    for (const auto& command : kCommands) {
        if (group.empty() || std::string_view(command.name).substr(0, group.size()) == group)
            std::fprintf(out, "  %-16s %s\n", command.name, command.arguments);
    }
    return EX_USAGE;
}

std::string find_config(std::string path) {
    struct stat st {};
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return path;
    std::string inside = path + "/dovecot/dovecot.conf";
    return stat(inside.c_str(), &st) == 0 ? inside : path + "/dovecot.conf";
}

bool set_format(Context& context, std::string_view name) {
    if (name == "flow")
        context.format = Format::kFlow;
    else if (name == "pager")
        context.format = Format::kPager;
    else if (name == "tab")
        context.format = Format::kTab;
    else if (name == "table")
        context.format = Format::kTable;
    else
        return false;
    return true;
}

int run(Context& context, const Arguments& words) {
    // The longest name that fits: "auth cache flush", "auth test", "who".
    for (size_t count = 3; count >= 1; --count) {
        if (words.size() < count) continue;
        std::string name;
        for (size_t i = 0; i < count; ++i) name += (i ? " " : "") + words[i];
        for (const auto& command : kCommands) {
            if (name == command.name)
                return command.run(context, Arguments(words.begin() + static_cast<std::ptrdiff_t>(count), words.end()));
        }
    }
    for (const char* name : kNotYet) {
        if (words[0] == name) {
            std::fprintf(stderr, "doveadm: Fatal: '%s' is a command of Dovecot that is not supported yet\n", name);
            return EX_USAGE;
        }
    }
    bool group = words[0] == "auth" || words[0] == "log";
    if (!group) std::fprintf(stderr, "doveadm: Fatal: unknown command '%s'\n", words[0].c_str());
    return usage(stderr, group ? std::string_view(words[0]) : std::string_view());
}

}   // namespace

int main(int argc, char** argv) {
    Context context;
    context.config_file = "/etc/dovecot/dovecot.conf";
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; ++i) {
        std::string_view argument = argv[i];
        bool more = i + 1 < argc;
        if (argument == "--version") {
            std::printf("postcot %s\n", POSTCOT_VERSION);
            return 0;
        }
        if (argument == "--help" || argument == "-h") {
            usage(stdout, {});
            return 0;
        }
        if (argument == "-c" && more) {
            context.config_file = argv[++i];
        } else if (argument == "-f" && more) {
            if (!set_format(context, argv[++i])) {
                std::fprintf(stderr, "doveadm: Fatal: unknown formatter: %s\n", argv[i]);
                return EX_USAGE;
            }
        } else if (argument == "-v" || argument == "-D" || argument == "-Dv" || argument == "-vD") {
            context.verbose = true;
        } else if (argument == "-o") {
            std::fprintf(stderr, "doveadm: Fatal: -o setting=value is not supported\n");
            return EX_USAGE;
        } else {
            std::fprintf(stderr, "doveadm: Fatal: invalid option %s\n", argv[i]);
            return usage(stderr, {});
        }
    }
    context.config_file = find_config(context.config_file);
    Arguments words(argv + i, argv + argc);
    if (words.empty()) return usage(stderr, {});
    if (words[0] == "help") {
        usage(stdout, {});
        return 0;
    }
    return run(context, words);
}
