// NAME
//     sendmail, mailq - Sendmail's command line
//
// SYNOPSIS
//     sendmail [options] [recipient ...]      mailq
//
// DESCRIPTION
//     As sendmail(1) of Postfix. A message is read from standard input up to its end (or, without -i, a line of one dot) and handed to postdrop(1).
//       -t        recipients from To, Cc and Bcc     -f ADDRESS, -r ADDRESS  envelope sender     -F NAME  full name
//       -i, -oi   a dot ends nothing                 -bp  list the queue                         -bs  SMTP on standard input and output
//       -bv       deliver nothing: mail the sender a report of what would become of it
//       -q, -qI ID, -qR SITE  try deferred mail      -N, -R, -V  DSN: notify, return, envelope id -B 7BIT|8BITMIME
//       -C DIR    configuration folder               -I, -bi  newaliases
//     Others of Sendmail's options are accepted and have no effect.
//
// DIAGNOSTICS
//     sysexits(3): 0; 64 wrong usage; 65 bad input; 69 the mail system is down; 75 try again; 77 not allowed.
#include <pwd.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "libproto/ipc/maildrop.h"
#include "libproto/ipc/postdrop.h"
#include "libproto/smtp/address_list.h"
#include "libproto/smtp/header_cleanup.h"
#include "libproto/smtp/path.h"
#include "tools/queue_common/control_client.h"
#include "tools/queue_common/list_queue.h"
#include "tools/queue_common/tool_config.h"
#include "tools/sendmail/options.h"

namespace {

using namespace postcot;

constexpr const char* kName = "sendmail";

std::string sibling(const config::MainCf& main_cf, const char* parameter, const char* program) {
    return main_cf.str(parameter) + "/" + program;
}

bool ascii(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

// Standard input as a message with LF line ends: CR before LF goes (`fix`: sendmail_fix_line_endings), a leading mbox "From " line goes, without -i a lone dot
// ends it. `header` sees the first lines.
void copy_message(ipc::PostdropRun& postdrop, bool dot_ends, const std::string& fix, smtp::HeaderCleanup& header) {
    std::string out;
    std::string ignored;
    char* line = nullptr;
    size_t room = 0;
    bool first = true;
    bool ok = true;
    bool strip = fix == "always";
    for (ssize_t n; ok && (n = ::getline(&line, &room, stdin)) > 0;) {
        std::string_view text(line, static_cast<size_t>(n));
        bool ended = text.back() == '\n';
        if (ended) text.remove_suffix(1);
        if (first && fix == "strict") strip = !text.empty() && text.back() == '\r';
        if (strip && !text.empty() && text.back() == '\r') text.remove_suffix(1);
        if (dot_ends && text == ".") break;
        if (first && (text.substr(0, 5) == "From " || text.substr(0, 6) == ">From ")) continue;
        first = false;
        out += text;
        out += '\n';
        if (!header.in_body()) header.feed(std::string(text) + '\n', ignored);
        ignored.clear();
        if (out.size() >= 65536) {
            ok = postdrop.write(out);
            out.clear();
        }
    }
    std::free(line);
    if (ok) (void)postdrop.write(out);
}

// sendmail -bv: what is shown to servers on the way; the report quotes it.
std::string probe(const std::vector<ipc::Recipient>& recipients) {
    std::string out = "Subject: probe\nTo:";
    for (size_t i = 0; i < recipients.size(); ++i)
        out += '\t' + smtp::to_external(recipients[i].address) + (i + 1 < recipients.size() ? ",\n" : "\n");
    return out;
}

int submit(const config::MainCf& main_cf, const tools::SendmailOptions& options) {
    ipc::MaildropHead head;
    const passwd* user = ::getpwuid(::getuid());
    std::string login = user ? user->pw_name : "unknown";
    if (options.sender) {
        auto senders = smtp::read_address_list(*options.sender);
        if (senders.size() > 1)   // Postfix's words, and its choice
            std::fprintf(stderr, "sendmail: warning: -f option specified malformed sender: %s\n",
                         options.sender->c_str());
        if (!senders.empty()) head.sender = std::move(senders.front().address);
    } else {
        head.sender = login;
    }
    head.full_name = options.full_name;
    if (head.full_name.empty()) {
        if (const char* name = std::getenv("NAME")) head.full_name = name;
    }
    if (head.full_name.empty() && user) {
        head.full_name = user->pw_gecos;
        head.full_name = head.full_name.substr(0, head.full_name.find(','));
        if (auto place = head.full_name.find('&');
            place != std::string::npos) {   // gecos: & is the login name, capitalised
            std::string capital = login;
            capital[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(capital[0])));
            head.full_name.replace(place, 1, capital);
        }
    }
    head.envid = options.envid;
    head.ret = options.ret;
    head.body = options.body;
    head.extract_recipients = options.extract_recipients;
    head.verify = options.verify;
    if (options.verify) head.full_name.clear();
    timeval now{};
    ::gettimeofday(&now, nullptr);
    head.arrival_seconds = now.tv_sec;
    head.arrival_microseconds = static_cast<uint32_t>(now.tv_usec);
    head.smtputf8 = !ascii(head.sender);
    for (const auto& word : options.recipients) {
        auto addresses = smtp::read_address_list(word);
        if (addresses.empty()) tools::die(kName, 64, "no recipient address in argument: \"" + word + "\"");
        for (auto& [address, offset, length] : addresses) {
            ipc::Recipient recipient;
            head.smtputf8 = head.smtputf8 || !ascii(address);
            recipient.address = std::move(address);
            recipient.notify = options.notify;
            head.recipients.push_back(std::move(recipient));
        }
    }
    if (head.recipients.empty() && !options.extract_recipients) {
        std::fprintf(
            stderr,
            "sendmail: fatal: Recipient addresses must be specified on the command line or via the -t option\n");
        return 64;
    }
    ::signal(SIGPIPE, SIG_IGN);
    auto postdrop =
        ipc::PostdropRun::start(sibling(main_cf, "command_directory", "postdrop"), main_cf.directory(), head);
    if (!postdrop) tools::die(kName, 69, postdrop.error().text);
    if (options.verify) {
        (void)postdrop->write(probe(head.recipients));
        const int status = postdrop->finish();
        if (status == 0) std::printf("Mail Delivery Status Report will be mailed to <%s>.\n", head.sender.c_str());
        return status;
    }
    smtp::HeaderOptions look;   // queued reads the header again, and takes the recipients from it
    look.extract_recipients = options.extract_recipients;
    smtp::HeaderCleanup header(look);
    copy_message(*postdrop, options.dot_ends, main_cf.str("sendmail_fix_line_endings"), header);
    if (std::ferror(stdin)) {   // half a message is none
        std::fprintf(stderr, "sendmail: fatal: read standard input: %s\n", strerror(errno));
        (void)postdrop->abandon();
        return 75;
    }
    std::string rest;
    header.finish(rest);
    if (head.recipients.empty() && header.facts().recipients.empty() && header.facts().resent_recipients.empty()) {
        (void)postdrop->abandon();
        std::fprintf(stderr, "sendmail: fatal: %s(%u): No recipient addresses found in message header\n", login.c_str(),
                     ::getuid());
        return 75;   // as Postfix's
    }
    return postdrop->finish();
}

// SMTP on standard input and output is smtpd's, here without privileges and without queued. Ours is beside us; in daemon_directory
// there may be Postfix's.
[[noreturn]] void speak_smtp(const config::MainCf& main_cf) {
    char self[4096];
    const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
    std::string program(self, n > 0 ? static_cast<size_t>(n) : 0);
    program = program.substr(0, program.rfind('/') + 1) + "smtpd";
    if (::access(program.c_str(), X_OK) != 0) program = sibling(main_cf, "daemon_directory", "smtpd");
    ::execl(program.c_str(), "smtpd", "-S", "-c", main_cf.directory().c_str(), static_cast<char*>(nullptr));
    tools::die(kName, 69, "execute " + program + ": " + strerror(errno));
}

int flush(const config::MainCf& main_cf, ipc::ControlVerb verb, const std::string& argument) {
    // As for the list: postqueue reaches the socket and knows who may.
    const std::string program = sibling(main_cf, "command_directory", "postqueue");
    const char* how = verb == ipc::ControlVerb::kFlush ? "-f" : verb == ipc::ControlVerb::kFlushMessage ? "-i" : "-s";
    ::execl(program.c_str(), "postqueue", "-c", main_cf.directory().c_str(), how,
            argument.empty() ? nullptr : argument.c_str(), static_cast<char*>(nullptr));
    ipc::ControlRequest request;
    request.verb = verb;
    if (verb != ipc::ControlVerb::kFlush) request.arguments.push_back(argument);
    auto done = tools::control(main_cf, std::move(request));
    if (!done) return tools::report_down(main_cf, kName, "Cannot flush mail queue", done.error().code);
    return done->ok ? 0 : 69;
}

}   // namespace

int main(int argc, char** argv) {
    auto options = tools::parse_sendmail_options(argc, argv);
    if (!options.error.empty()) tools::die(kName, 64, options.error);
    auto main_cf = tools::load_config(options.config, kName);
    using Mode = tools::SendmailOptions::Mode;
    switch (options.mode) {
        case Mode::kListQueue: {
            // The set-gid program where there is one: an ordinary user does not reach the socket himself.
            std::string program = sibling(main_cf, "command_directory", "postqueue");
            ::execl(program.c_str(), "postqueue", "-c", main_cf.directory().c_str(), "-p", static_cast<char*>(nullptr));
            return tools::list_queue(main_cf, false, "mailq");
        }
        case Mode::kFlush: return flush(main_cf, ipc::ControlVerb::kFlush, {});
        case Mode::kFlushMessage: return flush(main_cf, ipc::ControlVerb::kFlushMessage, options.argument);
        case Mode::kFlushSite: return flush(main_cf, ipc::ControlVerb::kFlushSite, options.argument);
        case Mode::kNewaliases: {
            std::string program = sibling(main_cf, "command_directory", "newaliases");
            ::execl(program.c_str(), "newaliases", "-c", main_cf.directory().c_str(), static_cast<char*>(nullptr));
            tools::die(kName, 69, "execute " + program + ": " + strerror(errno));
        }
        case Mode::kSmtp: speak_smtp(main_cf);
        case Mode::kSubmit: break;
    }
    return submit(main_cf, options);
}
