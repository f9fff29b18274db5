#include "libproto/ipc/maildrop.h"

#include <algorithm>
#include <cerrno>

namespace postcot::ipc {

namespace {

// In one octet, which held only the first of them in files of older versions.
constexpr uint8_t kExtractRecipients = 1;
constexpr uint8_t kVerify = 2;

}   // namespace

void MaildropHead::encode(Writer& w) const {
    w.str(sender);
    w.str(full_name);
    w.str(envid);
    w.u8(static_cast<uint8_t>(ret));
    w.u8(static_cast<uint8_t>(body));
    w.boolean(smtputf8);
    w.str(verp);
    w.u8(static_cast<uint8_t>((extract_recipients ? kExtractRecipients : 0) | (verify ? kVerify : 0)));
    w.i64(arrival_seconds);
    w.u32(arrival_microseconds);
    w.u32(static_cast<uint32_t>(recipients.size()));
    for (const auto& recipient : recipients) recipient.encode(w);
}

MaildropHead MaildropHead::decode(Reader& r) {
    MaildropHead out;
    out.sender = r.str();
    out.full_name = r.str();
    out.envid = r.str();
    out.ret = static_cast<Ret>(r.u8());
    out.body = static_cast<BodyType>(r.u8());
    out.smtputf8 = r.boolean();
    out.verp = r.str();
    const uint8_t flags = r.u8();
    out.extract_recipients = flags & kExtractRecipients;
    out.verify = flags & kVerify;
    out.arrival_seconds = r.i64();
    out.arrival_microseconds = r.u32();
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) out.recipients.push_back(Recipient::decode(r));
    return out;
}

std::string maildrop_prefix(const MaildropHead& head) {
    Writer w;
    head.encode(w);
    std::string body = w.take();
    Writer length;
    length.u32(static_cast<uint32_t>(body.size()));
    return std::string(kMaildropMagic) + length.take() + body;
}

Expected<MaildropParsed> parse_maildrop(std::string_view start) {
    const size_t fixed = kMaildropMagic.size() + 4;
    size_t compare = std::min(start.size(), kMaildropMagic.size());
    if (start.substr(0, compare) != kMaildropMagic.substr(0, compare)) return fail(EPROTO, "not a maildrop file");
    if (start.size() < fixed) return fail(EAGAIN, "maildrop file is too short");
    Reader length(start.substr(kMaildropMagic.size(), 4));
    uint32_t size = length.u32();
    if (size > kMaxMaildropHead) return fail(EPROTO, "maildrop file: envelope is too large");
    if (start.size() - fixed < size) return fail(EAGAIN, "maildrop file is too short");
    Reader reader(start.substr(fixed, size));
    MaildropParsed out;
    out.head = MaildropHead::decode(reader);
    if (!reader.ok() || !reader.at_end()) return fail(EPROTO, "maildrop file: envelope is damaged");
    out.text_at = fixed + size;
    return out;
}

}   // namespace postcot::ipc
