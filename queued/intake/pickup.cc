#include "queued/intake/pickup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "libproto/ipc/maildrop.h"
#include "libproto/runtime/log.h"
#include "libproto/smtp/path.h"
#include "queued/postfix_queue/convert.h"

namespace postcot::queued {

namespace {

constexpr size_t kAtOnce = 100;
constexpr Millis kLookAnyway{60000};   // Postfix's master.cf wakes pickup each minute
constexpr size_t kFirstRead = ipc::kInlineContent + 64 * 1024;

Expected<std::string> read_from(int fd, size_t offset, size_t max) {
    std::string out;
    out.resize(max);
    size_t have = 0;
    while (have < max) {
        ssize_t n = ::pread(fd, out.data() + have, max - have, static_cast<off_t>(offset + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "read");
        if (n == 0) break;
        have += static_cast<size_t>(n);
    }
    out.resize(have);
    return out;
}

}   // namespace

Pickup::Pickup(QueueManager& manager, Scope&, UniqueFd listening)
    : manager_(manager), listener_(std::move(listening)) {}

Task<void> Pickup::listen() {
    for (;;) {
        auto accepted = co_await listener_.accept();
        if (!accepted) {
            if (accepted.error().code == ECANCELED) co_return;
            auto slept = co_await sleep_for(Millis(100));
            if (!slept) co_return;
            continue;
        }
        wake();   // the connection itself says it all
    }
}

Task<void> Pickup::run() {
    for (;;) {
        work_.reset();
        scan();
        auto woken = co_await work_.wait(kLookAnyway);
        if (!woken && woken.error().code == ECANCELED) co_return;
    }
}

Task<void> Pickup::drain() {
    for (;;) {
        work_.reset();
        scan();
        if (under_way_.empty()) co_return;
        auto woken = co_await work_.wait();
        if (!woken) co_return;
    }
}

void Pickup::scan() {
    std::string directory = manager_.settings().queue_directory + "/maildrop";
    auto names = manager_.store().files().list(directory);
    if (!names) {
        log::warning_as(manager_.settings().pickup_ident, "scan maildrop: {}", names.error().text);
        return;
    }
    for (const auto& name : *names) {
        if (under_way_.size() >= kAtOnce) return;   // take() wakes us when one is done
        if (!under_way_.count(name)) take(name);
    }
}

void Pickup::take(const std::string& name) {
    const std::string ident = manager_.settings().pickup_ident;
    const std::string path = manager_.settings().queue_directory + "/maildrop/" + name;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) {
        if (errno != ENOENT && errno != ELOOP) log::warning_as(ident, "open maildrop/{}: {}", name, strerror(errno));
        return;
    }
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
        log::warning_as(ident, "maildrop/{}: not a regular file with one link: left alone", name);
        return;
    }
    if (!(st.st_mode & S_IXUSR)) {   // still being written, or its writer died: Postfix removes such files after a day
        if (time(nullptr) - st.st_mtime > 86400) ::unlink(path.c_str());
        return;
    }
    std::string mark = "maildrop/" + name;
    if (manager_.store().was_picked_up(mark)) {   // accepted just before a crash
        ::unlink(path.c_str());
        return;
    }
    auto start = read_from(fd.get(), 0, kFirstRead);
    if (!start) {
        log::warning_as(ident, "maildrop/{}: {}", name, start.error().text);
        return;
    }
    Submission submission;
    auto& input = submission.input;
    input.queue_id = manager_.new_queue_id();
    input.bounce_refused = true;
    const auto size = static_cast<uint64_t>(st.st_size);
    auto read = postfix_queue::looks_like_message(*start) ? read_postfix(fd.get(), size, submission)
                                                          : read_ours(fd.get(), size, std::move(*start), submission);
    if (!read) {
        if (submission.is_large()) manager_.store().abort_large(input.queue_id);
        const bool useless = read.error().code == EPROTO || read.error().code == EAGAIN;
        log::warning_as(ident, "maildrop/{}: {}: {}", name, read.error().text,
                        useless ? "removed" : "tried again later");
        if (useless) ::unlink(path.c_str());
        return;
    }
    auto& envelope = input.envelope;
    if (!envelope.verify) envelope.filter = manager_.settings().content_filter;
    envelope.local_submission = true;
    const Settings& settings = manager_.settings();
    envelope.cleanup_service = settings.pickup_cleanup_service;
    envelope.no_rewrite = settings.pickup_no_rewrite;
    envelope.no_header_checks = settings.pickup_no_header_checks;
    envelope.no_milters = settings.pickup_no_milters;
    envelope.arrival_seconds = st.st_mtim.tv_sec;
    envelope.arrival_microseconds = static_cast<uint32_t>(st.st_mtim.tv_nsec / 1000);
    envelope.log_ident = mark;
    for (auto* text : {&envelope.sender, &input.full_name, &envelope.envid, &envelope.verp}) {
        std::replace_if(
            text->begin(), text->end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, '?');
    }
    input.received = "Received: by " + manager_.settings().hostname + " (" + manager_.settings().mail_name +
                     ", from userid " + std::to_string(st.st_uid) + ")\n\tid " + input.queue_id + "; " +
                     mail_date(static_cast<int64_t>(time(nullptr)));
    log::info_as(ident, "{}: uid={} from=<{}>", input.queue_id, st.st_uid, smtp::to_external(envelope.sender));
    under_way_.insert(name);
    std::string id = input.queue_id;
    manager_.accept(std::move(submission), [this, name, path, id, ident](Expected<std::string> result) {
        under_way_.erase(name);
        if (result) {
            ::unlink(path.c_str());
        } else if (result.error().code >= 500 && result.error().code < 600) {
            log::warning_as(ident, "{}: {}: removed", id, result.error().text);
            ::unlink(path.c_str());
        } else {
            log::warning_as(ident, "{}: {}: tried again later", id, result.error().text);
            return;
        }
        wake();
    });
}

Expected<void> Pickup::read_ours(int fd, uint64_t size, std::string start, Submission& submission) {
    auto parsed = ipc::parse_maildrop(start);
    if (!parsed && parsed.error().code == EAGAIN && start.size() == kFirstRead) {
        auto more = read_from(fd, 0, ipc::kMaxMaildropHead + kFirstRead);
        if (!more) return fail(more.error());
        start = std::move(*more);
        parsed = ipc::parse_maildrop(start);
    }
    if (!parsed) return fail(parsed.error());
    ipc::MaildropHead& head = parsed->head;
    auto& input = submission.input;
    input.extract_recipients = head.extract_recipients;
    input.full_name = head.full_name;
    auto& envelope = input.envelope;
    envelope.sender = head.sender;
    envelope.envid = head.envid;
    envelope.ret = head.ret;
    envelope.body = head.body;
    envelope.smtputf8 = head.smtputf8;
    envelope.verp = head.verp;
    envelope.verify = head.verify;
    envelope.recipients = std::move(head.recipients);
    if (size - parsed->text_at <= ipc::kInlineContent) {
        submission.text = start.substr(parsed->text_at);
        return {};
    }
    auto file = manager_.store().create_large(input.queue_id);
    if (!file) return fail(file.error());
    submission.large = std::move(*file);
    for (uint64_t at = parsed->text_at;;) {
        auto piece = read_from(fd, at, 1 << 20);
        if (!piece) return fail(piece.error());
        if (piece->empty()) return {};
        at += piece->size();
        if (auto copied = submission.large->append(*piece); !copied) return copied;
    }
}

Expected<void> Pickup::read_postfix(int fd, uint64_t size, Submission& submission) {
    auto& input = submission.input;
    if (size > ipc::kInlineContent) {
        auto file = manager_.store().create_large(input.queue_id);
        if (!file) return fail(file.error());
        submission.large = std::move(*file);
    }
    CallSource source(size, [fd](char* buffer, size_t length, uint64_t offset) -> Expected<size_t> {
        auto read = read_from(fd, offset, length);
        if (!read) return fail(read.error());
        std::copy(read->begin(), read->end(), buffer);
        return read->size();
    });
    std::string held;
    auto message = postfix_queue::read_message(source, [&](std::string_view piece) -> Expected<void> {
        held += piece;
        if (!submission.large || held.size() < 256 * 1024) return {};
        auto written = submission.large->append(held);
        held.clear();
        return written;
    });
    if (!message) return fail(message.error());
    if (submission.large) {
        if (auto written = submission.large->append(held); !written) return written;
    } else {
        submission.text = std::move(held);
    }
    envelope_facts(*message, input.envelope);
    input.full_name = message->full_name;
    input.envelope.filter.clear();   // ours is content_filter's, as after Postfix's postsuper -r
    for (const auto& given : message->recipients) {
        if (given.done) continue;
        Recipient recipient;
        recipient.address = given.address;
        recipient.original = given.original == given.address ? std::string() : given.original;
        recipient.orcpt = given.orcpt;
        recipient.notify = given.notify;
        input.envelope.recipients.push_back(std::move(recipient));
    }
    return {};
}

}   // namespace postcot::queued
