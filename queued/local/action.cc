#include "queued/local/action.h"

#include <cerrno>

#include "libproto/ipc/codec.h"

namespace postcot::queued {

std::string Action::encode() const {
    ipc::Writer w;
    w.u8(static_cast<uint8_t>(kind));
    w.u32(uid);
    w.u32(gid);
    w.u32(level);
    w.boolean(may_forward);
    w.boolean(virtual_mailbox);
    w.boolean(crlf);
    w.boolean(from_alias);
    for (const std::string* text : {&path, &user, &home, &shell, &local, &extension, &delivered_to, &new_sender})
        w.str(*text);
    w.list(argv);
    w.list(environment);
    w.str(directory);
    w.str(flags);
    return w.take();
}

Expected<Action> Action::decode(std::string_view bytes) {
    ipc::Reader r(bytes);
    Action out;
    uint8_t kind = r.u8();
    out.uid = r.u32();
    out.gid = r.u32();
    out.level = r.u32();
    out.may_forward = r.boolean();
    out.virtual_mailbox = r.boolean();
    out.crlf = r.boolean();
    out.from_alias = r.boolean();
    for (std::string* text :
         {&out.path, &out.user, &out.home, &out.shell, &out.local, &out.extension, &out.delivered_to, &out.new_sender})
        *text = r.str();
    out.argv = r.list();
    out.environment = r.list();
    out.directory = r.str();
    out.flags = r.str();
    if (!r.ok() || kind > static_cast<uint8_t>(Kind::kPipe)) return fail(EPROTO, "malformed delivery context");
    out.kind = static_cast<Kind>(kind);
    return out;
}

}   // namespace postcot::queued
