#include "smtpd/message.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "libproto/ipc/queue.h"

namespace postcot::smtpd {

Message::Message(ipc::Submitter& queue, std::string queue_id, smtp::HeaderOptions options, uint64_t size_limit)
    : queue_(queue), queue_id_(std::move(queue_id)), cleanup_(std::move(options)), size_limit_(size_limit) {}

Message::~Message() {
    if (large_ && !submitted_) queue_.abort_large(queue_id_);
}

void Message::reserve(uint64_t announced_size) {
    content_.reserve(
        static_cast<size_t>(std::clamp<uint64_t>(announced_size + 1024, 8192, ipc::kInlineContent + 65536)));
}

void Message::fail_with(Error error) {
    if (!failed()) failure_ = std::move(error);
    content_.clear();
    scratch_.clear();
}

Task<void> Message::absorb(size_t wire_octets) {
    wire_octets_ += wire_octets;
    if (size_limit_ > 0 && wire_octets_ > size_limit_) fail_with(Error{552, "5.3.4", "Error: message file too big"});
    if (failed()) {
        content_.clear();
        scratch_.clear();
        co_return;
    }
    if (!scratch_.empty()) {
        cleanup_.feed(scratch_, content_);
        scratch_.clear();
    }
    if (content_.size() > ipc::kInlineContent) co_await spill();
}

Task<void> Message::finish() {
    if (failed()) co_return;
    cleanup_.finish(content_);
    if (content_.size() > ipc::kInlineContent || large_) co_await spill();
}

Task<void> Message::spill() {
    if (!large_) {
        auto file = co_await queue_.open_large(queue_id_);
        if (!file) {
            fail_with(std::move(file.error()));
            co_return;
        }
        file_ = std::move(*file);
        large_ = true;
    }
    // Page cache writes: queued syncs once, when the message is whole.
    std::string_view rest = content_;
    while (!rest.empty()) {
        const ssize_t n = ::write(file_.get(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            fail_with(errno == ENOSPC || errno == EDQUOT ? Error{452, "4.3.1", "Insufficient system storage"}
                                      : Error{451, "4.3.0", "Error: queue file write error"});
            co_return;
        }
        rest.remove_prefix(static_cast<size_t>(n));
    }
    content_.clear();
}

Task<Expected<std::string>> Message::submit(ipc::Envelope envelope) {
    submitted_ = true;
    if (large_) {
        file_.reset();
        co_return co_await queue_.submit_large(queue_id_, std::move(envelope));
    }
    co_return co_await queue_.submit(queue_id_, std::move(envelope), std::move(content_));
}

}   // namespace postcot::smtpd
