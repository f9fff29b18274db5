// Writes batches of messages into Maildirs so that the disk waits once per batch and not once per message: every file
// of the batch is written and synced (on a few threads: their syncs share the file system's journal commits), then all
// are renamed into new/, then each new/ is synced once. Nothing is reported as delivered before that last sync.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/files.h"

namespace postcot::queued {

struct MaildirDelivery {
    std::string maildir;     // absolute path; a trailing slash is fine
    std::string base;        // maildir_base_name()
    std::string headers;     // Return-Path: and so on, with LF line ends, before the content
    std::string_view head;   // the content: this, then `length` octets of `fd` at `offset`
    int fd = -1;
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t size_limit = 0;        // mailbox_size_limit / virtual_mailbox_limit; 0: none. Past it EFBIG.
    bool maybe_delivered = false;   // an earlier attempt was not answered: look for the file in new/ and cur/ first
    Expected<void> result;          // out. Errors name the step: "create maildir file <path>: ..."
};

class MaildirWriter {
  public:
    // `threads` 1: everything on the caller's thread (tests with a file double that is not thread-safe).
    MaildirWriter(Files& files, int threads);
    ~MaildirWriter();

    void deliver(std::vector<MaildirDelivery>& batch);

  private:
    class Pool;
    struct Written;
    void write_one(MaildirDelivery& delivery, Written& written);
    Expected<void> make_maildir(const std::string& maildir);
    void drop_already_delivered(std::vector<MaildirDelivery>& batch, std::vector<Written>& written);

    Files& files_;
    std::unique_ptr<Pool> pool_;
};

}   // namespace postcot::queued
