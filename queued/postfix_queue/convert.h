// Between Postfix's queue files (libproto/postfix_queue) and messages of our queue.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "libproto/postfix_queue/compose.h"
#include "libproto/postfix_queue/delivery_log.h"
#include "libproto/postfix_queue/message.h"
#include "queued/journal/records.h"

namespace postcot::queued {

// A file, read with read_at() of whatever it is.
class CallSource final : public postfix_queue::Source {
  public:
    using Read = std::function<Expected<size_t>(char*, size_t, uint64_t)>;
    CallSource(uint64_t size, Read read) : size_(size), read_(std::move(read)) {}
    Expected<size_t> read_at(char* buffer, size_t length, uint64_t offset) override {
        return read_(buffer, length, offset);
    }
    uint64_t size() const override { return size_; }

  private:
    uint64_t size_;
    Read read_;
};

// What stands beside a queue file under its id.
struct DeliveryLogs {
    std::vector<postfix_queue::DeliveryLogEntry> defer, bounce, trace;
};

// All but id, text and schedule. Recipients that are done are left out, unless a notice about them is still to be sent.
StoredMessage from_postfix(const postfix_queue::Message& message, const DeliveryLogs& logs);

// What sendmail(1) or cleanup(8) said about the content and its client.
void envelope_facts(const postfix_queue::Message& message, Envelope& out);

// The other direction. Recipients are those of `message` that are not quite done, in their order; `states[i]` is the place of recipient i in `message`.
postfix_queue::Message to_postfix(const StoredMessage& message, std::vector<size_t>& states);
// `recipients`: with the offsets that Composer gave them.
DeliveryLogs logs_for_postfix(const StoredMessage& message, const std::vector<postfix_queue::Recipient>& recipients,
                              const std::vector<size_t>& states);

}   // namespace postcot::queued
