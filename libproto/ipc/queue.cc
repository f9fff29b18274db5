#include "libproto/ipc/queue.h"

namespace postcot::ipc {

void IntakeNumbers::encode(Writer& w) const {
    w.u32(token);
    w.u32(count);
}
IntakeNumbers IntakeNumbers::decode(Reader& r) {
    IntakeNumbers out;
    out.token = r.u32();
    out.count = r.u32();
    return out;
}

void IntakeNumberBlock::encode(Writer& w) const {
    w.u32(token);
    w.u64(first);
    w.u32(count);
}
IntakeNumberBlock IntakeNumberBlock::decode(Reader& r) {
    IntakeNumberBlock out;
    out.token = r.u32();
    out.first = r.u64();
    out.count = r.u32();
    return out;
}

void IntakeSubmit::encode(Writer& w) const {
    w.u32(token);
    w.str(queue_id);
    envelope.encode(w);
    w.boolean(large);
    w.str(content);
}
IntakeSubmit IntakeSubmit::decode(Reader& r) {
    IntakeSubmit out;
    out.token = r.u32();
    out.queue_id = r.str();
    out.envelope = Envelope::decode(r);
    out.large = r.boolean();
    out.content = r.str();
    return out;
}

void IntakeResult::encode(Writer& w) const {
    w.u32(token);
    w.boolean(ok);
    w.u32(static_cast<uint32_t>(code));
    w.str(enhanced);
    w.str(text);
    w.str(queue_id);
}
IntakeResult IntakeResult::decode(Reader& r) {
    IntakeResult out;
    out.token = r.u32();
    out.ok = r.boolean();
    out.code = static_cast<int32_t>(r.u32());
    out.enhanced = r.str();
    out.text = r.str();
    out.queue_id = r.str();
    return out;
}

void IntakeOpenLarge::encode(Writer& w) const {
    w.u32(token);
    w.str(queue_id);
}
IntakeOpenLarge IntakeOpenLarge::decode(Reader& r) {
    IntakeOpenLarge out;
    out.token = r.u32();
    out.queue_id = r.str();
    return out;
}

void IntakeAbortLarge::encode(Writer& w) const { w.str(queue_id); }
IntakeAbortLarge IntakeAbortLarge::decode(Reader& r) {
    IntakeAbortLarge out;
    out.queue_id = r.str();
    return out;
}

void IntakeCheckSpace::encode(Writer& w) const {
    w.u32(token);
    w.u64(size);
}
IntakeCheckSpace IntakeCheckSpace::decode(Reader& r) {
    IntakeCheckSpace out;
    out.token = r.u32();
    out.size = r.u64();
    return out;
}

void IntakeFlush::encode(Writer& w) const {
    w.u32(token);
    w.str(site);
}
IntakeFlush IntakeFlush::decode(Reader& r) {
    IntakeFlush out;
    out.token = r.u32();
    out.site = r.str();
    return out;
}

}   // namespace postcot::ipc
