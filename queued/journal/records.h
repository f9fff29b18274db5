// What the journal says: messages and what became of them. See docs/architecture.md, "Queue journal", for the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libproto/ipc/envelope.h"

namespace postcot::queued {

using ipc::Envelope;
using ipc::Recipient;

enum class RecipientStatus : uint8_t {
    kPending,        // to be delivered; `result` is the last failure, if any
    kDone,           // nothing more to do
    kBounced,        // failed for good, and the sender is still to be told
    kSentNotify,     // delivered or (sendmail -bv) looked at, and the sender is still to be told
};

// The last result of a recipient, as much as a DSN and the queue listing need.
struct StoredResult {
    std::string dsn;
    std::string text;
    std::string relay;
    std::string remote_mta;
    std::string diagnostic;
    std::string final_recipient;
    uint8_t action = 0;   // 0 as the status says, 1 relayed, 2 expanded, 3 deliverable, 4 undeliverable

    void encode(ipc::Writer& w) const;
    static StoredResult decode(ipc::Reader& r);
};

struct RecipientState {
    RecipientStatus status = RecipientStatus::kPending;
    std::string context;     // agent's private word (ipc::Expansion)
    std::string transport;   // "transport:nexthop" that overrides resolving (ipc::Expansion)
    StoredResult result;

    void encode(ipc::Writer& w) const;
    static RecipientState decode(ipc::Reader& r);
};

// A queued message without its text.
struct StoredMessage {
    std::string id;
    Envelope envelope;
    std::vector<RecipientState> states;   // one for each of envelope.recipients

    // The text is `inline_length` bytes of segment `segment` at `offset`, followed by [large_offset, large_offset+large_length) of large/<id>.
    uint32_t segment = 0;
    uint64_t offset = 0;
    uint64_t inline_length = 0;
    bool large = false;
    uint64_t large_offset = 0;
    uint64_t large_length = 0;

    int64_t queued_seconds = 0;      // when it was accepted: lifetime counts from here
    int64_t next_attempt = 0;        // seconds; 0: never tried
    uint32_t attempts = 0;
    bool hold = false;
    bool warned = false;             // the delay warning was sent
    bool expire = false;             // postsuper -e
    std::string redirect;            // filter or requeue target; empty: resolve normally

    uint64_t size() const { return inline_length + large_length; }
    bool finished() const;           // no recipient is pending or waits for a notice
    size_t pending() const;
    void encode(ipc::Writer& w) const;
    static StoredMessage decode(ipc::Reader& r);
};

// Ops. A journal record is one or more of them and takes effect whole or not at all.
struct OpMessage {            // accepted, or copied forward with its present state
    StoredMessage message;    // segment and offset are set by the reader
    std::string_view text;    // the inline part
};
struct OpResult {
    std::string id;
    uint32_t index = 0;
    RecipientState state;
};
struct OpSchedule {
    std::string id;
    int64_t next_attempt = 0;
    uint32_t attempts = 0;
    bool hold = false;
    bool warned = false;
    bool expire = false;
};
struct OpAddRecipients {      // at `base`: replaying it twice does no harm
    std::string id;
    uint32_t base = 0;
    std::vector<Recipient> recipients;
    std::vector<RecipientState> states;
};
struct OpRemoved {
    std::string id;
};
struct OpNumbers {            // queue-id numbers below this have been given away
    uint64_t high_water = 0;
};
using Op = std::variant<OpMessage, OpResult, OpSchedule, OpAddRecipients, OpRemoved, OpNumbers>;

// Builds a record's payload.
class RecordBuilder {
  public:
    RecordBuilder& add(const Op& op);
    bool empty() const { return writer_.bytes().empty(); }
    size_t size() const { return writer_.bytes().size(); }   // after an OpMessage: where its text ends
    std::string take() { return writer_.take(); }

  private:
    ipc::Writer writer_;
};

// `text` of an OpMessage points into `payload`. False when the payload is not what RecordBuilder makes.
bool decode_record(std::string_view payload, std::vector<Op>& ops);

// Applies an op to a message it names (not OpMessage, OpRemoved, OpNumbers). Unknown indexes are ignored.
void apply(const Op& op, StoredMessage& message);

// The queue id an op is about; empty for OpNumbers.
const std::string& op_id(const Op& op);

}   // namespace postcot::queued
