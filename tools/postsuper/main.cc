// NAME
//     postsuper - change the mail queue
//
// SYNOPSIS
//     postsuper [-c DIR] [-d ID] [-e ID] [-f ID] [-h ID] [-H ID] [-r ID] [-psSv] [QUEUE...]
//
// DESCRIPTION
//     As postsuper(1) of Postfix, for the super-user.
//       -d  delete         -h  put on hold     -H  release from hold
//       -r  requeue: a new message with a new id, rewritten and resolved anew
//       -e  expire: return to sender at the next attempt      -f  the same, and release from hold
//     ID is a queue id, "ALL" (limited to the QUEUEs named: hold, incoming, active, deferred), or "-": ids from standard input, one a line.
//     -p, -s and -S, which put Postfix's folders right, have nothing to do here: the queue checks itself at each start.
//
// DIAGNOSTICS
//     "postsuper: Deleted: 3 messages" and so on. Exit status 0; 64 wrong usage; 69 the mail system is down.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "tools/queue_common/control_client.h"
#include "tools/queue_common/list_queue.h"
#include "tools/queue_common/tool_config.h"

namespace {

using namespace postcot;

struct Action {
    ipc::ControlVerb verb;
    const char* report;
    std::vector<std::string> ids;
};

[[noreturn]] void usage() {
    std::fprintf(stderr,
                 "postsuper: fatal: usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f "
                 "queue_id (expire and "
                 "un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id "
                 "(requeue)] [-s (structure fix)] "
                 "[-S (redundant structure fix)] [-v (verbose)] [queue...]\n");
    std::exit(64);
}

}   // namespace

int main(int argc, char** argv) {
    std::string directory;
    Action actions[] = {
        {ipc::ControlVerb::kDelete, "Deleted", {}},
        {ipc::ControlVerb::kHold, "Placed on hold", {}},
        {ipc::ControlVerb::kRelease, "Released from hold", {}},
        {ipc::ControlVerb::kRequeue, "Requeued", {}},
        {ipc::ControlVerb::kExpire, "Expired", {}},
        {ipc::ControlVerb::kExpireNow, "Expired", {}},
    };
    const std::string letters = "dhHref";
    std::string from_input;
    for (int option; (option = ::getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) != -1;) {
        switch (option) {
            case 'c': directory = optarg; break;
            case 'p':
            case 's':
            case 'S':
            case 'v': break;
            case '?': usage();
            default: {
                auto& action = actions[letters.find(static_cast<char>(option))];
                if (std::string(optarg) == "-") {
                    if (!from_input.empty()) tools::die("postsuper", 64, "only one option can use standard input");
                    from_input = static_cast<char>(option);
                    for (std::string line; std::getline(std::cin, line);) {
                        while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.pop_back();
                        if (!line.empty() && line != "ALL") action.ids.push_back(line);
                    }
                } else {
                    action.ids.emplace_back(optarg);
                }
            }
        }
    }
    std::vector<std::string> queues;
    for (int i = optind; i < argc; ++i) {
        std::string queue = argv[i];
        if (queue != "hold" && queue != "incoming" && queue != "active" && queue != "deferred" && queue != "maildrop") {
            tools::die("postsuper", 64, "invalid queue name: " + queue);
        }
        queues.push_back(std::move(queue));
    }
    auto main_cf = tools::load_config(directory, "postsuper");
    int status = 0;
    for (auto& action : actions) {
        if (action.ids.empty()) continue;
        ipc::ControlRequest request;
        request.verb = action.verb;
        request.arguments = action.ids;
        request.queues = queues;
        tools::ControlHandlers handlers;
        handlers.text = [](const ipc::ControlText& line) {
            std::fprintf(stderr, "postsuper: %s\n", line.data.c_str());
        };
        auto done = tools::control(main_cf, std::move(request), std::move(handlers));
        if (!done) return tools::report_down(main_cf, "postsuper", "Cannot change the mail queue", done.error().code);
        if (!done->ok) {
            std::fprintf(stderr, "postsuper: fatal: use of this command is reserved for the superuser: %s\n",
                         done->text.c_str());
            return 69;
        }
        if (done->count > 0) {
            std::fprintf(stderr, "postsuper: %s: %llu message%s\n", action.report,
                         static_cast<unsigned long long>(done->count), done->count == 1 ? "" : "s");
        }
    }
    return status;
}
