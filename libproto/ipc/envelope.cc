#include "libproto/ipc/envelope.h"

namespace postcot::ipc {

namespace {

// In one octet, which held only the first of them in journals of older versions.
constexpr uint8_t kHold = 1;
constexpr uint8_t kVerify = 2;

}   // namespace

void Recipient::encode(Writer& w) const {
    w.str(address);
    w.str(original);
    w.str(orcpt);
    w.u8(notify);
}

Recipient Recipient::decode(Reader& r) {
    Recipient out;
    out.address = r.str();
    out.original = r.str();
    out.orcpt = r.str();
    out.notify = r.u8();
    return out;
}

void Envelope::encode(Writer& w) const {
    w.str(sender);
    w.u8(static_cast<uint8_t>(ret));
    w.str(envid);
    w.u8(static_cast<uint8_t>(body));
    w.boolean(smtputf8);
    w.boolean(requiretls);
    w.str(verp);
    w.str(filter);
    w.boolean(no_rewrite);
    w.boolean(local_submission);
    w.boolean(no_header_checks);
    w.boolean(no_milters);
    w.boolean(unfiltered);
    w.str(cleanup_service);
    w.u8(static_cast<uint8_t>((hold ? kHold : 0) | (verify ? kVerify : 0)));
    w.i64(arrival_seconds);
    w.u32(arrival_microseconds);
    w.str(client_name);
    w.str(client_address);
    w.str(client_port);
    w.str(helo_name);
    w.str(protocol);
    w.str(sasl_method);
    w.str(sasl_username);
    w.str(sasl_sender);
    w.str(log_ident);
    w.u32(static_cast<uint32_t>(recipients.size()));
    for (const auto& recipient : recipients) recipient.encode(w);
}

Envelope Envelope::decode(Reader& r) {
    Envelope out;
    out.sender = r.str();
    out.ret = static_cast<Ret>(r.u8());
    out.envid = r.str();
    out.body = static_cast<BodyType>(r.u8());
    out.smtputf8 = r.boolean();
    out.requiretls = r.boolean();
    out.verp = r.str();
    out.filter = r.str();
    out.no_rewrite = r.boolean();
    out.local_submission = r.boolean();
    out.no_header_checks = r.boolean();
    out.no_milters = r.boolean();
    out.unfiltered = r.boolean();
    out.cleanup_service = r.str();
    const uint8_t flags = r.u8();
    out.hold = flags & kHold;
    out.verify = flags & kVerify;
    out.arrival_seconds = r.i64();
    out.arrival_microseconds = r.u32();
    out.client_name = r.str();
    out.client_address = r.str();
    out.client_port = r.str();
    out.helo_name = r.str();
    out.protocol = r.str();
    out.sasl_method = r.str();
    out.sasl_username = r.str();
    out.sasl_sender = r.str();
    out.log_ident = r.str();
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) out.recipients.push_back(Recipient::decode(r));
    return out;
}

}   // namespace postcot::ipc
