// Where smtpd leaves a message it has accepted: with queued (ipc/queue_client.h), or in stand-alone mode with postdrop(1). Errors carry the SMTP
// reply: Error{452, "4.3.1", "Insufficient system storage"}, Error{451, "4.3.0", "Error: queue file write error"} ...
#pragma once

#include <cstdint>
#include <string>

#include "libproto/error.h"
#include "libproto/ipc/envelope.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/task.h"

namespace postcot::ipc {

class Submitter {
  public:
    virtual ~Submitter() = default;

    virtual Task<Expected<std::string>> next_queue_id() = 0;
    // Returns when the message is durable: the id it is queued as.
    virtual Task<Expected<std::string>> submit(std::string queue_id, Envelope envelope, std::string content) = 0;
    // For content over kInlineContent: a descriptor to write to (from offset 0), then submit_large(), or abort_large().
    virtual Task<Expected<UniqueFd>> open_large(std::string queue_id) = 0;
    virtual Task<Expected<std::string>> submit_large(std::string queue_id, Envelope envelope) = 0;
    virtual void abort_large(std::string queue_id) = 0;
    // RFC 1870: would a message of `size` octets fit?
    virtual Task<Expected<void>> check_space(uint64_t size) = 0;
    virtual Task<Expected<void>> flush_site(std::string site) = 0;   // RFC 1985 ETRN
};

}   // namespace postcot::ipc
