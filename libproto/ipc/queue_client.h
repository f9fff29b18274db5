// The client side of ipc/queue.h: what smtpd uses to hand over mail. One QueueClient per process, many sessions at once
// on its one connection. It connects when first used and again after queued was restarted; what was under way then ends
// with 451 4.3.0, and the SMTP client tries again.
//
//     auto id = co_await queue.next_queue_id();                     // at the first accepted RCPT
//     auto queued = co_await queue.submit(*id, std::move(envelope), std::move(content));
//     ... returns when it is durable: now say 250 2.0.0 Ok: queued as ...
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libproto/error.h"
#include "libproto/ipc/queue.h"
#include "libproto/ipc/submitter.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"
#include "libproto/runtime/task.h"

namespace postcot::ipc {

class QueueClient final : public Submitter {
  public:
    // `socket_path` is $queue_directory/private/intake; it must be reachable after the sandbox is entered (connect()
    // there, or before).
    QueueClient(std::string socket_path, bool long_queue_ids);
    ~QueueClient() override;   // after close(), or never having connected
    QueueClient(const QueueClient&) = delete;
    QueueClient& operator=(const QueueClient&) = delete;

    Task<Expected<void>> connect();
    Task<void> close();

    // A fresh queue id for a message that begins now. Suspends only when the block of numbers is used up.
    Task<Expected<std::string>> next_queue_id() override;

    // Errors carry the SMTP reply: Error{452, "4.3.1", "Insufficient system storage"}, Error{451, "4.3.0", "Error:
    // queue file write error"}, Error{550, "5.7.1", ...} when a header or body check rejects, Error{250, ...} never.
    // The result is the queue id.
    Task<Expected<std::string>> submit(std::string queue_id, Envelope envelope, std::string content) override;

    // For content over kInlineContent: a descriptor to write to (from offset 0), then submit_large(), or abort_large().
    Task<Expected<UniqueFd>> open_large(std::string queue_id) override;
    Task<Expected<std::string>> submit_large(std::string queue_id, Envelope envelope) override;
    void abort_large(std::string queue_id) override;

    // A small message's answer is at most a second old. RFC 1870: would a message of `size` octets fit (queue_minfree)? Error{452, "4.3.1", ...} if not.
    Task<Expected<void>> check_space(uint64_t size) override;
    // RFC 1985 ETRN. Error carries the SMTP reply.
    Task<Expected<void>> flush_site(std::string site) override;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;   // shared with the task that reads answers
};

}   // namespace postcot::ipc
