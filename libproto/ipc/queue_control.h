// The conversation between the queue tools (postqueue, postsuper, postcat, sendmail -q) and queued, over $queue_directory/public/control.
// One request per connection; the answer is any number of ControlItem and ControlText, then ControlDone.
//
// Any local user may list and flush (authorized_mailq_users, authorized_flush_users); the rest is for root and the mail system's owner.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/ipc/codec.h"

namespace postcot::ipc {

enum class ControlVerb : uint8_t {
    kList = 1,      // every message, in the order of ids
    kFlush,         // retry all that is deferred
    kFlushSite,     // arguments: domains
    kFlushMessage,  // arguments: queue ids
    kDelete,        // arguments: queue ids or "ALL"; `queues` limits to these queues (hold, incoming, active, deferred)
    kHold,
    kRelease,
    kRequeue,
    kExpire,          // return to sender at the next attempt
    kExpireNow,       // ... and make that now, from hold as well
    kShow,            // argument: one queue id; ControlItem, then the text in ControlText
    kWake,            // look into the maildrop
};

struct ControlRequest {
    static constexpr uint16_t kType = 0x0301;
    ControlVerb verb = ControlVerb::kList;
    std::vector<std::string> arguments;
    std::vector<std::string> queues;
    void encode(Writer& w) const;
    static ControlRequest decode(Reader& r);
};

struct ControlItem {
    static constexpr uint16_t kType = 0x0302;
    struct Recipient {
        std::string address;
        std::string original;
        std::string reason;   // why it was deferred; empty when it was not
        bool done = false;
    };
    std::string queue;        // "active", "deferred", "hold", "incoming"
    std::string id;
    uint64_t size = 0;
    int64_t arrival = 0;
    int64_t queued = 0;
    bool forced_expire = false;
    std::string sender;
    std::vector<Recipient> recipients;   // kList: those still to be delivered; kShow: all
    std::vector<std::string> attributes;   // kShow: "name=value"
    void encode(Writer& w) const;
    static ControlItem decode(Reader& r);
};

struct ControlText {
    static constexpr uint16_t kType = 0x0303;
    std::string data;
    void encode(Writer& w) const { w.str(data); }
    static ControlText decode(Reader& r) { return {r.str()}; }
};

struct ControlDone {
    static constexpr uint16_t kType = 0x0304;
    bool ok = false;
    uint64_t count = 0;       // messages it was done to
    std::string text;         // when not ok
    void encode(Writer& w) const;
    static ControlDone decode(Reader& r);
};

}   // namespace postcot::ipc
