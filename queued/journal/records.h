// What the journal says: messages and what became of them. See docs/architecture.md, "Queue journal", for the bytes. They have a codec of their own
// (records.cc over fields.h), since they outlive a build: what daemons say to each other (ipc/codec.h) may change with each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libproto/ipc/envelope.h"
#include "queued/journal/fields.h"

namespace postcot::queued {

using ipc::Envelope;
using ipc::Recipient;

enum class RecipientStatus : uint8_t {
    kPending,      // to be delivered; `result` is the last failure, if any
    kDone,         // nothing more to do
    kBounced,      // failed for good, and the sender is still to be told
    kSentNotify,   // delivered or (sendmail -bv) looked at, and the sender is still to be told
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
};

struct RecipientState {
    RecipientStatus status = RecipientStatus::kPending;
    std::string context;     // agent's private word (ipc::Expansion)
    std::string transport;   // "transport:nexthop" that overrides resolving (ipc::Expansion)
    StoredResult result;
    std::string unknown;   // fields of a newer version, kept (journal/fields.h)
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

    int64_t queued_seconds = 0;   // when it was accepted: lifetime counts from here
    int64_t next_attempt = 0;     // seconds; 0: never tried
    uint32_t attempts = 0;
    bool hold = false;
    bool warned = false;    // the delay warning was sent
    bool expire = false;    // postsuper -e
    std::string redirect;   // filter or requeue target; empty: resolve normally
    std::string unknown;    // fields of a newer version, kept (journal/fields.h)

    uint64_t size() const { return inline_length + large_length; }
    bool finished() const;   // no recipient is pending or waits for a notice
    size_t pending() const;
};

// Ops. A journal record is one or more of them and takes effect whole or not at all.
struct OpMessage {           // accepted, or copied forward with its present state
    StoredMessage message;   // segment and offset are set by the reader
    std::string_view text;   // the inline part
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
    std::string unknown{};
};
struct OpAddRecipients {   // at `base`: replaying it twice does no harm
    std::string id;
    uint32_t base = 0;
    std::vector<Recipient> recipients;
    std::vector<RecipientState> states;
};
struct OpRemoved {
    std::string id;
};
struct OpNumbers {   // queue-id numbers below this have been given away
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
    FieldWriter writer_;
};

// `text` of an OpMessage points into `payload`. False when there is something in the payload that is not understood; `ops` has what is. `format` is the
// segment's: payloads of format 1 had no tags (records_v1.cc); nothing is written like that any more.
[[nodiscard]] bool decode_record(std::string_view payload, unsigned format, std::vector<Op>& ops);

// A message without its text, as the index keeps it. Octets that are no message give one without an id.
std::string encode_message(const StoredMessage& message);
StoredMessage decode_message(std::string_view bytes);

// Applies an op to a message it names (not OpMessage, OpRemoved, OpNumbers). Unknown indexes are ignored.
void apply(const Op& op, StoredMessage& message);

// The queue id an op is about; empty for OpNumbers.
const std::string& op_id(const Op& op);

}   // namespace postcot::queued
