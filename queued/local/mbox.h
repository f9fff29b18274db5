// Appends to an mbox file under Postfix's locks (mailbox_delivery_lock): "dotlock" first, then the kernel's. Blocks: call through blocking().
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::queued {

struct MboxDelivery {
    std::string path;
    std::string from_line;   // "From sender date\n"
    std::string headers;
    std::string_view head;   // the content: this, then `length` octets of `fd` at `offset`
    int fd = -1;
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t size_limit = 0;   // of the file after delivery; 0: none. EFBIG
    bool lock_fcntl = false;
    bool lock_flock = false;
    bool lock_dot = false;
    int lock_attempts = 20;
    std::chrono::seconds lock_delay{1};
    std::chrono::seconds stale_lock{500};
    bool maybe_delivered = false;   // an earlier attempt was not answered: look for the message first
    bool strict_owner = true;       // strict_mailbox_ownership: the file must be ours
};

// The message is on disk when this returns; on failure the file has its old length. Lines that begin with "From " get a ">".
Expected<void> deliver_mbox(const MboxDelivery& delivery);

}   // namespace postcot::queued
