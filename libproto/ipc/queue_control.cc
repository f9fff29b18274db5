#include "libproto/ipc/queue_control.h"

namespace postcot::ipc {

void ControlRequest::encode(Writer& w) const {
    w.u8(static_cast<uint8_t>(verb));
    w.list(arguments);
    w.list(queues);
}
ControlRequest ControlRequest::decode(Reader& r) {
    ControlRequest out;
    out.verb = static_cast<ControlVerb>(r.u8());
    out.arguments = r.list();
    out.queues = r.list();
    return out;
}

void ControlItem::encode(Writer& w) const {
    w.str(queue);
    w.str(id);
    w.u64(size);
    w.i64(arrival);
    w.i64(queued);
    w.boolean(forced_expire);
    w.str(sender);
    w.u32(static_cast<uint32_t>(recipients.size()));
    for (const auto& recipient : recipients) {
        w.str(recipient.address);
        w.str(recipient.original);
        w.str(recipient.reason);
        w.boolean(recipient.done);
    }
    w.list(attributes);
}
ControlItem ControlItem::decode(Reader& r) {
    ControlItem out;
    out.queue = r.str();
    out.id = r.str();
    out.size = r.u64();
    out.arrival = r.i64();
    out.queued = r.i64();
    out.forced_expire = r.boolean();
    out.sender = r.str();
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) {
        Recipient recipient;
        recipient.address = r.str();
        recipient.original = r.str();
        recipient.reason = r.str();
        recipient.done = r.boolean();
        out.recipients.push_back(std::move(recipient));
    }
    out.attributes = r.list();
    return out;
}

void ControlDone::encode(Writer& w) const {
    w.boolean(ok);
    w.u64(count);
    w.str(text);
}
ControlDone ControlDone::decode(Reader& r) {
    ControlDone out;
    out.ok = r.boolean();
    out.count = r.u64();
    out.text = r.str();
    return out;
}

}   // namespace postcot::ipc
