#include "smtpd/postdrop_submitter.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "libproto/ipc/postdrop.h"
#include "libproto/runtime/log.h"
#include "libproto/smtp/queue_id.h"

namespace postcot::smtpd {
namespace {

Error write_error() { return Error{451, "4.3.0", "Error: queue file write error"}; }

ipc::MaildropHead head_of(const ipc::Envelope& envelope) {
    ipc::MaildropHead out;
    out.sender = envelope.sender;
    out.envid = envelope.envid;
    out.ret = envelope.ret;
    out.body = envelope.body;
    out.smtputf8 = envelope.smtputf8;
    out.verp = envelope.verp;
    out.arrival_seconds = envelope.arrival_seconds;
    out.arrival_microseconds = envelope.arrival_microseconds;
    out.recipients = envelope.recipients;
    return out;
}

}   // namespace

PostdropSubmitter::PostdropSubmitter(const config::MainCf& main)
    : program_(main.str("command_directory") + "/postdrop"),
      config_directory_(main.directory()),
      long_queue_ids_(main.boolean("enable_long_queue_ids")) {}

Task<Expected<std::string>> PostdropSubmitter::next_queue_id() {
    timeval now{};
    gettimeofday(&now, nullptr);
    const smtp::QueueTime time{now.tv_sec, static_cast<uint32_t>(now.tv_usec)};
    co_return smtp::compose_queue_id(long_queue_ids_, time, static_cast<uint64_t>(getpid()));
}

Expected<void> PostdropSubmitter::drop(const ipc::Envelope& envelope, const std::string& content,
                                       const UniqueFd& file) const {
    auto postdrop = ipc::PostdropRun::start(program_, config_directory_, head_of(envelope));
    if (!postdrop) {
        log::warning("{}", postdrop.error().text);
        return fail(write_error());
    }
    bool open = postdrop->write(content);
    off_t at = 0;
    while (open && file) {
        char buffer[65536];
        const ssize_t n = ::pread(file.get(), buffer, sizeof buffer, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            (void)postdrop->abandon();
            return fail(write_error());
        }
        if (n == 0) break;
        at += n;
        open = postdrop->write({buffer, static_cast<size_t>(n)});
    }
    const int status = postdrop->finish();
    if (status == 0) return {};
    log::warning("command \"{}\" exited with status {}", program_, status);
    if (status == 77) return fail(550, "5.7.1", "Error: not allowed to submit mail");   // authorized_submit_users
    return fail(write_error());
}

Task<Expected<std::string>> PostdropSubmitter::submit(std::string queue_id, ipc::Envelope envelope,
                                                      std::string content) {
    auto dropped = drop(envelope, content, UniqueFd());
    if (!dropped) co_return fail(std::move(dropped.error()));
    co_return queue_id;
}

Task<Expected<UniqueFd>> PostdropSubmitter::open_large(std::string) {
    const char* folder = getenv("TMPDIR");
    large_ = UniqueFd(::open(folder && *folder ? folder : P_tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!large_) large_ = UniqueFd(::memfd_create("message", MFD_CLOEXEC));   // not every file system has O_TMPFILE
    UniqueFd writer(large_ ? ::fcntl(large_.get(), F_DUPFD_CLOEXEC, 0) : -1);
    if (!writer) co_return fail(write_error());
    co_return std::move(writer);
}

Task<Expected<std::string>> PostdropSubmitter::submit_large(std::string queue_id, ipc::Envelope envelope) {
    UniqueFd file = std::move(large_);
    auto dropped = drop(envelope, {}, file);
    if (!dropped) co_return fail(std::move(dropped.error()));
    co_return queue_id;
}

void PostdropSubmitter::abort_large(std::string) { large_.reset(); }

Task<Expected<void>> PostdropSubmitter::check_space(uint64_t) { co_return Expected<void>(); }

Task<Expected<void>> PostdropSubmitter::flush_site(std::string) {
    co_return fail(458, "", "Unable to queue messages");   // the session says so itself
}

}   // namespace postcot::smtpd
