// Fixed-width little-endian integers and strings with a u32 length, one after the other. Frozen: tests/unit/queued/golden has a segment of it.
#include "queued/journal/records_v1.h"

namespace postcot::queued {

namespace {

class Reader {
  public:
    explicit Reader(std::string_view in) : in_(in) {}
    uint64_t number(size_t octets) {
        uint64_t value = 0;
        if (in_.size() < octets) ok_ = false;
        for (size_t i = 0; i < octets && ok_; ++i) value |= uint64_t{static_cast<uint8_t>(in_[i])} << (8 * i);
        if (ok_) in_.remove_prefix(octets);
        return value;
    }
    uint8_t u8() { return static_cast<uint8_t>(number(1)); }
    uint32_t u32() { return static_cast<uint32_t>(number(4)); }
    uint64_t u64() { return number(8); }
    int64_t i64() { return static_cast<int64_t>(number(8)); }
    bool boolean() { return u8() != 0; }
    std::string_view view() {
        const uint32_t length = u32();
        if (length > in_.size()) ok_ = false;
        if (!ok_) return {};
        auto out = in_.substr(0, length);
        in_.remove_prefix(length);
        return out;
    }
    std::string str() { return std::string(view()); }
    bool ok() const { return ok_; }
    bool at_end() const { return in_.empty(); }

  private:
    std::string_view in_;
    bool ok_ = true;
};

Recipient recipient(Reader& r) {
    Recipient out;
    out.address = r.str();
    out.original = r.str();
    out.orcpt = r.str();
    out.notify = r.u8();
    return out;
}

Envelope envelope(Reader& r) {
    Envelope out;
    out.sender = r.str();
    out.ret = static_cast<ipc::Ret>(r.u8());
    out.envid = r.str();
    out.body = static_cast<ipc::BodyType>(r.u8());
    out.smtputf8 = r.boolean();
    out.requiretls = r.boolean();
    out.verp = r.str();
    out.filter = r.str();
    out.no_rewrite = r.boolean();
    out.local_submission = r.boolean();
    out.no_header_checks = r.boolean();
    const uint8_t flags = r.u8();
    out.hold = flags & 1;
    out.verify = flags & 2;
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
    const uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) out.recipients.push_back(recipient(r));
    return out;
}

RecipientState state(Reader& r) {
    RecipientState out;
    out.status = static_cast<RecipientStatus>(r.u8());
    out.context = r.str();
    out.transport = r.str();
    if (!r.boolean()) return out;
    out.result.dsn = r.str();
    out.result.text = r.str();
    out.result.relay = r.str();
    out.result.remote_mta = r.str();
    out.result.diagnostic = r.str();
    out.result.final_recipient = r.str();
    out.result.action = r.u8();
    return out;
}

StoredMessage message(Reader& r) {
    StoredMessage out;
    out.id = r.str();
    out.envelope = envelope(r);
    for (size_t i = 0; i < out.envelope.recipients.size() && r.ok(); ++i) out.states.push_back(state(r));
    out.segment = r.u32();
    out.offset = r.u64();
    out.inline_length = r.u64();
    out.large = r.boolean();
    out.large_offset = r.u64();
    out.large_length = r.u64();
    out.queued_seconds = r.i64();
    out.next_attempt = r.i64();
    out.attempts = r.u32();
    const uint8_t flags = r.u8();
    out.hold = flags & 1;
    out.warned = flags & 2;
    out.expire = flags & 4;
    out.redirect = r.str();
    return out;
}

OpAddRecipients added(Reader& r) {
    OpAddRecipients op;
    op.id = r.str();
    op.base = r.u32();
    const uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) {
        op.recipients.push_back(recipient(r));
        op.states.push_back(state(r));
    }
    return op;
}

OpSchedule schedule(Reader& r) {
    OpSchedule op;
    op.id = r.str();
    op.next_attempt = r.i64();
    op.attempts = r.u32();
    op.hold = r.boolean();
    op.warned = r.boolean();
    op.expire = r.boolean();
    return op;
}

}   // namespace

bool decode_record_v1(std::string_view payload, std::vector<Op>& ops) {
    Reader r(payload);
    ops.clear();
    while (r.ok() && !r.at_end()) {
        switch (r.u8()) {
            case 1: {
                OpMessage op;
                op.message = message(r);
                op.text = r.view();
                ops.emplace_back(std::move(op));
                break;
            }
            case 2: {
                OpResult op;
                op.id = r.str();
                op.index = r.u32();
                op.state = state(r);
                ops.emplace_back(std::move(op));
                break;
            }
            case 3: ops.emplace_back(schedule(r)); break;
            case 4: ops.emplace_back(added(r)); break;
            case 5: ops.emplace_back(OpRemoved{r.str()}); break;
            case 6: ops.emplace_back(OpNumbers{r.u64()}); break;
            default: return false;
        }
    }
    if (!r.ok() && !ops.empty()) ops.pop_back();   // read past the end
    return r.ok();
}

}   // namespace postcot::queued
