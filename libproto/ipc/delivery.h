// The conversation between queued's scheduler and its delivery agents (queued: remote, queued: local), over a socket
// pair.
//
//   agent                            queued
//   AgentHello{max_jobs}          ->                          once, when ready
//                                 <- Deliver{job, ...} [+fd]  any number at once, up to max_jobs unanswered
//   Delivered{job, results}       ->                          one for each Deliver, in any order
//                                 <- AgentStop{}              finish what is begun and answer it
//   AgentStop{}                   ->                          all is answered; exit 0 when queued has hung up
//
// An agent keeps no state of its own that matters: when it dies, queued starts it again and sends unanswered jobs once
// more with `maybe_delivered` set. queued writes the "to=<...>, relay=..., status=..." line and every DSN; the agent
// logs only its own warnings. A transport is a master.cf service: its overrides (-o) are found there by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/ipc/codec.h"
#include "libproto/ipc/envelope.h"
#include "libproto/runtime/fd.h"

namespace postcot::ipc {

struct AgentHello {
    static constexpr uint16_t kType = 0x0201;
    uint32_t max_jobs = 0;
    uint32_t pid = 0;
    void encode(Writer& w) const;
    static AgentHello decode(Reader& r);
};

struct AgentStop {
    static constexpr uint16_t kType = 0x0202;
    void encode(Writer&) const {}
    static AgentStop decode(Reader&) { return {}; }
};

struct DeliverRecipient {
    uint32_t index = 0;   // names the recipient in the answer
    Recipient recipient;
    std::string context;   // what this agent put into an Expansion with a context; else empty
};

// The message text is `head` followed by bytes [offset, offset+length) of the descriptor that came with the frame
// (length 0: no descriptor). Small messages are all head: an agent never sees a journal segment, where others' mail
// lies. LF line ends.
struct Deliver {
    static constexpr uint16_t kType = 0x0203;
    uint64_t job = 0;
    std::string queue_id;
    std::string transport;   // master.cf service name: "smtp", "relay", "local", "virtual", "lmtp"
    std::string nexthop;     // "example.com", "[host]:port", "unix:/path"; for local and virtual the recipient's domain
    // The envelope's facts, without recipients.
    std::string sender;
    Ret ret = Ret::kUnset;
    std::string envid;
    BodyType body = BodyType::kUnset;
    bool smtputf8 = false;
    bool requiretls = false;
    std::string verp;
    std::string client_name, client_address, client_port, helo_name, protocol;
    std::string sasl_method, sasl_username, sasl_sender;
    int64_t arrival_seconds = 0;
    uint32_t arrival_microseconds = 0;

    bool verify = false;            // only find out whether it could be delivered; kSent then means that it could
    bool maybe_delivered = false;   // this attempt may repeat one that a crash left unanswered
    uint32_t also_waiting =
        0;   // other deliveries that wait for this destination: keep the connection (smtp_connection_cache_on_demand)
    std::vector<DeliverRecipient> recipients;

    std::string head;
    uint64_t offset = 0;
    uint64_t length = 0;

    uint64_t size() const { return head.size() + length; }
    void encode(Writer& w) const;
    static Deliver decode(Reader& r);
};

// Random access to a Deliver's text.
class DeliverContent {
  public:
    DeliverContent(std::string head, UniqueFd fd, uint64_t offset, uint64_t length)
        : head_(std::move(head)), fd_(std::move(fd)), offset_(offset), length_(length) {}
    uint64_t size() const { return head_.size() + length_; }
    // Up to `length` bytes; 0 at the end.
    Expected<size_t> read_at(char* buffer, size_t length, uint64_t offset) const;
    // The first `max` bytes or all.
    Expected<std::string> read_prefix(size_t max) const;
    const std::string& head() const { return head_; }
    int fd() const { return fd_.get(); }
    uint64_t fd_offset() const { return offset_; }
    uint64_t fd_length() const { return length_; }

  private:
    std::string head_;
    UniqueFd fd_;
    uint64_t offset_;
    uint64_t length_;
};

enum class Outcome : uint8_t {
    kSent,       // status=sent; the recipient is done
    kDeferred,   // status=deferred; tried again later
    kBounced,    // status=bounced; the recipient is done and the sender is told (soft_bounce makes it deferred)
    kExpanded,   // aliases, .forward: status=sent (forwarded as NEWID); see expansions
};

// What one recipient turned into.
struct Expansion {
    std::string address;
    // Empty: an ordinary address. All of a result's ordinary addresses become recipients of one new message, whose text
    // is this message's under a "Delivered-To: <result.delivered_to>" header. Not empty: opaque to queued; the
    // recipient stays in this message and comes back to this agent with this context (a command or file that an alias
    // named, with whose rights to run it).
    std::string context;
    // "transport:nexthop" (mailbox_transport, fallback_transport): the recipient stays in this message and goes by that transport next, whatever
    // transport_maps say. Empty: resolved as ever.
    std::string transport;
};

struct RecipientResult {
    uint32_t index = 0;
    Outcome outcome = Outcome::kDeferred;
    std::string dsn;     // RFC 3463: "2.0.0", "4.4.1", "5.1.1"
    std::string text;    // for the log's status=...(text): "delivered to maildir", "250 2.0.0 Ok: queued as 1234",
                         // "connect to ...: Connection refused"
    std::string relay;   // for the log: "local", "virtual", "mx.example.com[192.0.2.1]:25", "none"
    // For the DSN (RFC 3464 §2.3); empty when there is none.
    std::string remote_mta;   // "dns; mx.example.com"
    std::string diagnostic;   // "smtp; 550 5.1.1 <a@b>: no such user", "x-unix; command output"
    std::string
        final_recipient;   // when a local alias or .forward member failed: its own address; empty: the recipient's
    bool relayed_without_dsn =
        false;   // sent to a server without DSN: queued sends the "relayed" notice when SUCCESS was asked
    bool dsn_passed_on = false;   // sent to a server with DSN: success notices are that server's business
    std::vector<Expansion> expansions;
    std::string delivered_to;       // kExpanded
    std::string new_sender;         // kExpanded: owner-alias; empty: the message's sender
    bool null_new_sender = false;   // kExpanded: the new sender is <>
    // Seconds, for delays=a/b/c/d: c, connection set-up with DNS and TLS; d, transmission.
    double connect_delay = 0;
    double transmit_delay = 0;
};

struct Delivered {
    static constexpr uint16_t kType = 0x0204;
    uint64_t job = 0;
    std::vector<RecipientResult> results;   // one for each recipient; a missing one counts as deferred
    // The destination as a whole did not answer (connection refused, greeting 4xx, MX lookup failed ...): negative
    // feedback, and past
    // *_destination_concurrency_failed_cohort_limit the destination rests for minimal_backoff_time.
    bool destination_failed = false;
    void encode(Writer& w) const;
    static Delivered decode(Reader& r);
};

}   // namespace postcot::ipc
