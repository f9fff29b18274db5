// NAME
//     postqueue - look at the mail queue, and have it tried
//
// SYNOPSIS
//     postqueue [-c DIR] -p            list in the traditional form      postqueue [-c DIR] -j            one JSON object a line
//     postqueue [-c DIR] -f            try all deferred mail now         postqueue [-c DIR] -i QUEUE_ID   try that message now
//     postqueue [-c DIR] -s SITE       try all mail for SITE now
//
// DESCRIPTION
//     As postqueue(1) of Postfix. Installed set-gid postdrop, so that ordinary users reach the queue manager's socket.
//     In the list a queue id is followed by * (being delivered), ! (on hold), # (forced to expire).
//
// DIAGNOSTICS
//     Exit status 0; 64 wrong usage; 69 the mail system is down.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tools/queue_common/authorized.h"
#include "tools/queue_common/control_client.h"
#include "tools/queue_common/list_queue.h"
#include "tools/queue_common/tool_config.h"

namespace {

using namespace postcot;

[[noreturn]] void usage() {
    std::fprintf(stderr,
                 "postqueue: fatal: usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | "
                 "postqueue -s site\n");
    std::exit(64);
}

}   // namespace

int main(int argc, char** argv) {
    std::string directory;
    std::string argument;
    int mode = 0;
    for (int option; (option = ::getopt(argc, argv, "c:fi:jps:v")) != -1;) {
        switch (option) {
            case 'c': directory = optarg; break;
            case 'v': break;
            case 'i':
            case 's': argument = optarg; [[fallthrough]];
            case 'f':
            case 'j':
            case 'p':
                if (mode != 0) usage();
                mode = option;
                break;
            default: usage();
        }
    }
    if (mode == 0 || optind < argc) usage();
    auto main_cf = tools::load_config(directory, "postqueue");
    const bool view = mode == 'p' || mode == 'j';
    tools::require_authorized(main_cf, "postqueue", view ? "authorized_mailq_users" : "authorized_flush_users",
                              view ? "view the mail queue" : "flush the mail queue");
    if (view) return tools::list_queue(main_cf, mode == 'j', "postqueue");

    ipc::ControlRequest request;
    request.verb = mode == 'f'   ? ipc::ControlVerb::kFlush
                   : mode == 'i' ? ipc::ControlVerb::kFlushMessage
                                 : ipc::ControlVerb::kFlushSite;
    if (mode != 'f') request.arguments.push_back(argument);
    auto done = tools::control(main_cf, std::move(request));
    if (!done) return tools::report_down(main_cf, "postqueue", "Cannot flush mail queue", done.error().code);
    if (!done->ok) {
        std::fprintf(stderr, "postqueue: fatal: %s\n", done->text.c_str());
        return 69;
    }
    return 0;
}
