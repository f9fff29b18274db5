// NAME
//     postcat - show a queued message
//
// SYNOPSIS
//     postcat [-c DIR] -q [-b] [-e] [-h] [-o] [-v] QUEUE_ID...
//
// DESCRIPTION
//     As postcat(1) of Postfix, for the super-user: the envelope (-e), the header (-h) and the body (-b); all three without these. -q is needed: messages lie
//     in a journal here and have no files to name.
//
// DIAGNOSTICS
//     Exit status 0; 1 no such message; 64 wrong usage; 69 the mail system is down.
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <string>

#include "libproto/smtp/path.h"
#include "tools/queue_common/control_client.h"
#include "tools/queue_common/list_queue.h"
#include "tools/queue_common/tool_config.h"

namespace {

using namespace postcot;

std::string when(int64_t seconds) {
    auto t = static_cast<time_t>(seconds);
    std::tm local{};
    localtime_r(&t, &local);
    char out[64];
    std::strftime(out, sizeof out, "%a %b %e %H:%M:%S %Y", &local);
    return out;
}

// Postfix hashes the deferred queue by the first digit of a short id (hash_queue_names).
std::string where(const ipc::ControlItem& item) {
    if (item.queue == "deferred" && item.id.find_first_not_of("0123456789ABCDEF") == std::string::npos)
        return "deferred/" + item.id.substr(0, 1) + "/" + item.id;
    return item.queue + "/" + item.id;
}

void print_envelope(const ipc::ControlItem& item) {
    std::printf("message_size: %15llu %15d %15zu %15d %15llu %15d\n", static_cast<unsigned long long>(item.size), 0,
                item.recipients.size(), 0, static_cast<unsigned long long>(item.size), 0);
    std::printf("message_arrival_time: %s\n", when(item.arrival).c_str());
    std::printf("create_time: %s\n", when(item.queued).c_str());
    for (const auto& attribute : item.attributes) std::printf("named_attribute: %s\n", attribute.c_str());
    std::printf("sender: %s\n", smtp::to_external(item.sender).c_str());
}

void print_recipients(const ipc::ControlItem& item) {
    for (const auto& recipient : item.recipients) {
        if (!recipient.original.empty())
            std::printf("original_recipient: %s\n", smtp::to_external(recipient.original).c_str());
        std::printf("%s: %s\n", recipient.done ? "done_recipient" : "recipient",
                    smtp::to_external(recipient.address).c_str());
    }
}

}   // namespace

int main(int argc, char** argv) {
    std::string directory;
    bool queue = false, body = false, header = false, envelope = false;
    for (int option; (option = ::getopt(argc, argv, "bc:defhoqrsv")) != -1;) {
        switch (option) {
            case 'b': body = true; break;
            case 'c': directory = optarg; break;
            case 'e': envelope = true; break;
            case 'h': header = true; break;
            case 'q': queue = true; break;
            case 'd':
            case 'f':
            case 'o':
            case 'r':
            case 's':
            case 'v': break;
            default:
                std::fprintf(stderr,
                             "postcat: fatal: usage: postcat [-b (body text)] [-c config_dir] [-e (envelope records)] "
                             "[-h (header text)] [-v] -q (access queue) queue_id...\n");
                return 64;
        }
    }
    if (!body && !header && !envelope) body = header = envelope = true;
    if (!queue || optind >= argc)
        tools::die("postcat", 64,
                   "usage: postcat -q [-behv] [-c config_dir] queue_id...: messages have no files of their own");
    auto main_cf = tools::load_config(directory, "postcat");
    int status = 0;
    for (int i = optind; i < argc; ++i) {
        std::string id = argv[i];
        ipc::ControlItem item;
        std::string path;
        bool in_body = false;
        bool first_text = true;
        bool blank_line = true;   // the last octet seen ended a line
        tools::ControlHandlers handlers;
        handlers.item = [&](const ipc::ControlItem& given) {
            item = given;
            path = where(item);
            if (!envelope) return;
            std::printf("*** ENVELOPE RECORDS %s ***\n", path.c_str());
            print_envelope(item);
            print_recipients(item);
        };
        handlers.text = [&](const ipc::ControlText& piece) {
            std::string_view text = piece.data;
            if (first_text && envelope) std::printf("*** MESSAGE CONTENTS %s ***\n", path.c_str());
            first_text = false;
            size_t at = 0;
            while (!in_body && at < text.size()) {
                if (blank_line && text[at] == '\n') {
                    in_body = true;
                    if (header || !body) std::fputc('\n', stdout);
                    ++at;
                    break;
                }
                size_t end = text.find('\n', at);
                size_t next = end == std::string_view::npos ? text.size() : end + 1;
                if (header) std::fwrite(text.data() + at, 1, next - at, stdout);
                blank_line = end != std::string_view::npos;
                at = next;
            }
            if (in_body && body) std::fwrite(text.data() + at, 1, text.size() - at, stdout);
        };
        ipc::ControlRequest request;
        request.verb = ipc::ControlVerb::kShow;
        request.arguments = {id};
        auto done = tools::control(main_cf, std::move(request), std::move(handlers));
        if (!done) return tools::report_down(main_cf, "postcat", "Cannot look into the mail queue", done.error().code);
        if (!done->ok) {
            std::fprintf(stderr, "postcat: fatal: open queue file %s: %s\n", id.c_str(), done->text.c_str());
            status = 1;
            continue;
        }
        if (envelope) {
            std::printf("*** HEADER EXTRACTED %s ***\n", path.c_str());
            std::printf("*** MESSAGE FILE END %s ***\n", path.c_str());
        }
    }
    return status;
}
