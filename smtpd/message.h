// One message on its way from the client to queued: header cleaned up as it passes, body copied once, spilled to the queue's own file when large.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/error.h"
#include "libproto/ipc/submitter.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/task.h"
#include "libproto/smtp/data.h"
#include "libproto/smtp/header_cleanup.h"

namespace postcot::smtpd {

class Message {
  public:
    Message(ipc::Submitter& queue, std::string queue_id, smtp::HeaderOptions options, uint64_t size_limit);
    ~Message();
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    void reserve(uint64_t announced_size);
    void prepend(std::string_view headers) {
        content_ += headers;
    }   // Received and PREPEND, before the client's first octet

    // Where a decoder appends; absorb() must follow each time.
    std::string& sink() { return cleanup_.in_body() ? content_ : scratch_; }
    smtp::ChunkDecoder& chunks() { return chunks_; }   // BDAT: its state outlives each chunk
    // `wire_octets`: what the decoder took from the client.
    Task<void> absorb(size_t wire_octets);
    Task<void> finish();   // the client's last octet has come

    // A refusal to answer with once the client is done: too large, no space.
    bool failed() const { return failure_.code != 0; }
    const Error& failure() const { return failure_; }
    void fail_with(Error error);
    uint64_t wire_octets() const { return wire_octets_; }
    const smtp::HeaderFacts& facts() const { return cleanup_.facts(); }

    Task<Expected<std::string>> submit(ipc::Envelope envelope);

  private:
    Task<void> spill();

    ipc::Submitter& queue_;
    std::string queue_id_;
    smtp::HeaderCleanup cleanup_;
    smtp::ChunkDecoder chunks_;
    uint64_t size_limit_;
    std::string content_;
    std::string scratch_;
    UniqueFd file_;
    bool large_ = false;
    bool submitted_ = false;
    uint64_t wire_octets_ = 0;
    Error failure_;
};

}   // namespace postcot::smtpd
