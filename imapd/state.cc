#include "imapd/state.h"

namespace postcot::imapd {

void SessionState::encode(ipc::Writer& w) const {
    w.str(mailbox);
    w.boolean(read_only);
    w.boolean(condstore);
    w.boolean(qresync);
    w.str(idle_tag);
    w.u32(static_cast<uint32_t>(saved.size()));
    for (uint32_t uid : saved) w.u32(uid);
}

SessionState SessionState::decode(ipc::Reader& r) {
    SessionState out;
    out.mailbox = r.str();
    out.read_only = r.boolean();
    out.condstore = r.boolean();
    out.qresync = r.boolean();
    out.idle_tag = r.str();
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) out.saved.push_back(r.u32());
    return out;
}

}   // namespace postcot::imapd
