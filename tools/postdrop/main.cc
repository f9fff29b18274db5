// NAME
//     postdrop - put mail where queued picks it up
//
// SYNOPSIS
//     postdrop [-c DIR] [-r] [-v]
//
// DESCRIPTION
//     Reads an envelope and a message from standard input (libproto/ipc/maildrop.h: sendmail(1) writes it) and leaves them in queue_directory/maildrop as one
//     synced file, in Postfix's format; then wakes the pick-up. Works while queued is down, and what it leaves is not lost when Postfix comes instead of it.
//
// SECURITY
//     Installed set-gid postdrop. What it writes belongs to the user who ran it, and that is all that queued believes of it. It drops what it was given
//     in the environment, takes configuration only from trusted folders, and bounds what it reads (message_size_limit).
//
// DIAGNOSTICS
//     Exit status 0; 64 wrong usage; 65 the input is not right or too large; 75 try again later; 77 not allowed (authorized_submit_users).
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "libproto/ipc/maildrop.h"
#include "libproto/postfix_queue/compose.h"
#include "libproto/smtp/header_cleanup.h"
#include "libproto/smtp/queue_id.h"
#include "tools/queue_common/authorized.h"
#include "tools/queue_common/tool_config.h"

namespace {

using namespace postcot;

std::string unfinished;   // file to take back when we are interrupted

[[noreturn]] void give_up(int status, const std::string& text) {
    if (!unfinished.empty()) ::unlink(unfinished.c_str());
    tools::die("postdrop", status, text);
}

void on_signal(int) {
    if (!unfinished.empty()) ::unlink(unfinished.c_str());
    ::_exit(75);
}

size_t read_some(char* buffer, size_t size) {
    for (;;) {
        ssize_t n = ::read(0, buffer, size);
        if (n >= 0) return static_cast<size_t>(n);
        if (errno != EINTR) give_up(75, std::string("read: ") + strerror(errno));
    }
}

void write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        ssize_t n = ::write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) give_up(75, std::string("write maildrop file: ") + strerror(errno));
        data.remove_prefix(static_cast<size_t>(n));
    }
}

void printable(std::string& text) {
    std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, '?');
}

postfix_queue::Message converted(const ipc::MaildropHead& head, const timeval& now) {
    postfix_queue::Message out;
    out.arrival_seconds = now.tv_sec;
    out.arrival_microseconds = static_cast<uint32_t>(now.tv_usec);
    out.sender = head.sender;
    out.full_name = head.full_name;
    out.envid = head.envid;
    out.ret = static_cast<uint8_t>(head.ret);
    out.verp = head.verp;
    out.attributes["rewrite_context"] = "local";
    if (head.body == ipc::BodyType::k8BitMime) out.attributes["encoding"] = "8bit";
    if (head.body == ipc::BodyType::k7Bit) out.attributes["encoding"] = "7bit";
    if (head.smtputf8) out.attributes["smtputf8"] = "yes";
    if (head.verify) out.attributes["trace_flags"] = std::to_string(postfix_queue::Message::kVerifyForUser);
    for (const auto& given : head.recipients) {
        postfix_queue::Recipient to;
        to.address = given.address;
        to.orcpt = given.orcpt;
        to.notify = given.notify;
        printable(to.address);
        printable(to.orcpt);
        out.recipients.push_back(std::move(to));
    }
    for (auto* text : {&out.sender, &out.full_name, &out.envid, &out.verp}) printable(*text);
    return out;
}

// sendmail -t: what the header says, as the text goes by.
class HeaderRecipients {
  public:
    explicit HeaderRecipients(bool wanted) : wanted_(wanted), cleanup_(options()) {}
    void feed(std::string_view text) {
        if (!wanted_ || cleanup_.in_body()) return;
        std::string ignored;
        cleanup_.feed(text, ignored);
    }
    std::vector<std::string> finish() {
        if (!wanted_) return {};
        std::string ignored;
        if (!cleanup_.in_body()) cleanup_.finish(ignored);
        const auto& facts = cleanup_.facts();
        auto out = facts.resent_recipients.empty() ? facts.recipients : facts.resent_recipients;
        for (auto& address : out) printable(address);
        return out;
    }

  private:
    static smtp::HeaderOptions options() {
        smtp::HeaderOptions out;
        out.drop.clear();
        out.extract_recipients = true;
        return out;
    }
    bool wanted_;
    smtp::HeaderCleanup cleanup_;
};

void wake(const std::string& queue_directory) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = queue_directory + "/public/pickup";
    if (path.size() >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    (void)!::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);   // queued looks by itself, too
    ::close(fd);
}

}   // namespace

int main(int argc, char** argv) {
    ::umask(022);
    const bool borrowed_rights = ::getegid() != ::getgid();
    std::string directory;
    for (int option; (option = ::getopt(argc, argv, "c:rv")) != -1;) {
        switch (option) {
            case 'c': directory = optarg; break;
            case 'r':
            case 'v': break;
            default: tools::die("postdrop", 64, "usage: postdrop [-c config_dir] [-v]");
        }
    }
    if (optind < argc) tools::die("postdrop", 64, "usage: postdrop [-c config_dir] [-v]");
    auto main_cf = tools::load_config(directory, "postdrop");
    if (borrowed_rights && ::clearenv() != 0) return 75;
    tools::require_authorized(main_cf, "postdrop", "authorized_submit_users", "submit mail");
    for (int signum : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) ::signal(signum, on_signal);
    ::signal(SIGPIPE, SIG_IGN);

    // The envelope is read whole and checked before anything is made; the text streams.
    std::string start;
    Expected<ipc::MaildropParsed> parsed = fail(EAGAIN, "");
    while (!parsed && parsed.error().code == EAGAIN) {
        char buffer[65536];
        size_t n = read_some(buffer, sizeof buffer);
        if (n == 0) break;
        start.append(buffer, n);
        parsed = ipc::parse_maildrop(start);
    }
    if (!parsed) give_up(65, "uid=" + std::to_string(::getuid()) + ": malformed input: " + parsed.error().text);
    if (parsed->head.recipients.empty() && !parsed->head.extract_recipients) give_up(65, "no recipients");
    int64_t limit = main_cf.integer("message_size_limit");

    const std::string queue_directory = main_cf.str("queue_directory");
    timeval now{};
    ::gettimeofday(&now, nullptr);
    unsigned long long random = 0;
    (void)!::getrandom(&random, sizeof random, 0);
    char name[80];
    std::snprintf(name, sizeof name, "%llX.%05lX.%lX.%016llX", static_cast<unsigned long long>(now.tv_sec),
                  static_cast<long>(now.tv_usec), static_cast<long>(::getpid()), random);
    std::string path = queue_directory + "/maildrop/" + name;
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
    if (fd < 0) give_up(75, "create maildrop file " + path + ": " + strerror(errno));
    unfinished = path;
    // Postfix knows a queue file by a name made of its inode.
    struct stat made {};
    if (::fstat(fd, &made) != 0) give_up(75, std::string("stat maildrop file: ") + strerror(errno));
    path = queue_directory + "/maildrop/" +
           smtp::compose_queue_id(false, {now.tv_sec, static_cast<uint32_t>(now.tv_usec)}, made.st_ino);
    if (::renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0)
        give_up(75, std::string("rename maildrop file: ") + strerror(errno));
    unfinished = path;
    uint64_t size = 0;
    std::string held = start.substr(parsed->text_at);   // the last octets wait: they may be the end mark
    postfix_queue::Composer composer(converted(parsed->head, now), postfix_queue::Composer::Kind::kMaildrop);
    HeaderRecipients header(parsed->head.extract_recipients);
    write_all(fd, composer.head());
    for (;;) {
        if (held.size() > ipc::kMaildropEnd.size()) {
            const size_t sure = held.size() - ipc::kMaildropEnd.size();
            size += sure;
            if (limit > 0 && size > static_cast<uint64_t>(limit)) {
                give_up(65, "uid=" + std::to_string(::getuid()) + ": File too large");
            }
            const std::string_view text = std::string_view(held).substr(0, sure);
            header.feed(text);
            write_all(fd, composer.text(text));
            held.erase(0, sure);
        }
        char buffer[65536];
        size_t n = read_some(buffer, sizeof buffer);
        if (n == 0) break;
        held.append(buffer, n);
    }
    if (held != ipc::kMaildropEnd) give_up(65, "uid=" + std::to_string(::getuid()) + ": the input ends in the middle");
    const auto named = header.finish();
    if (parsed->head.recipients.empty() && named.empty()) give_up(65, "no recipient addresses found in message header");
    write_all(fd, composer.end(named));
    // On disk first, then visible: the x bit says that the file is whole.
    if (::fsync(fd) != 0 || ::fchmod(fd, 0744) != 0 || ::close(fd) != 0)
        give_up(75, std::string("sync maildrop file: ") + strerror(errno));
    unfinished.clear();
    wake(queue_directory);
    return 0;
}
