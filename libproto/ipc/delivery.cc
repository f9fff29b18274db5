#include "libproto/ipc/delivery.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace postcot::ipc {

namespace {

void put_seconds(Writer& w, double seconds) { w.i64(static_cast<int64_t>(seconds * 1e6)); }
double take_seconds(Reader& r) { return static_cast<double>(r.i64()) / 1e6; }

void encode_result(Writer& w, const RecipientResult& result) {
    w.u32(result.index);
    w.u8(static_cast<uint8_t>(result.outcome));
    w.str(result.dsn);
    w.str(result.text);
    w.str(result.relay);
    w.str(result.remote_mta);
    w.str(result.diagnostic);
    w.str(result.final_recipient);
    w.boolean(result.relayed_without_dsn);
    w.boolean(result.dsn_passed_on);
    w.u32(static_cast<uint32_t>(result.expansions.size()));
    for (const auto& expansion : result.expansions) {
        w.str(expansion.address);
        w.str(expansion.context);
        w.str(expansion.transport);
    }
    w.str(result.delivered_to);
    w.str(result.new_sender);
    w.boolean(result.null_new_sender);
    put_seconds(w, result.connect_delay);
    put_seconds(w, result.transmit_delay);
}

RecipientResult decode_result(Reader& r) {
    RecipientResult out;
    out.index = r.u32();
    uint8_t outcome = r.u8();
    out.outcome =
        outcome <= static_cast<uint8_t>(Outcome::kExpanded) ? static_cast<Outcome>(outcome) : Outcome::kDeferred;
    out.dsn = r.str();
    out.text = r.str();
    out.relay = r.str();
    out.remote_mta = r.str();
    out.diagnostic = r.str();
    out.final_recipient = r.str();
    out.relayed_without_dsn = r.boolean();
    out.dsn_passed_on = r.boolean();
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) {
        Expansion expansion;
        expansion.address = r.str();
        expansion.context = r.str();
        expansion.transport = r.str();
        out.expansions.push_back(std::move(expansion));
    }
    out.delivered_to = r.str();
    out.new_sender = r.str();
    out.null_new_sender = r.boolean();
    out.connect_delay = take_seconds(r);
    out.transmit_delay = take_seconds(r);
    return out;
}

}   // namespace

void AgentHello::encode(Writer& w) const {
    w.u32(max_jobs);
    w.u32(pid);
}
AgentHello AgentHello::decode(Reader& r) {
    AgentHello out;
    out.max_jobs = r.u32();
    out.pid = r.u32();
    return out;
}

void Deliver::encode(Writer& w) const {
    w.u64(job);
    w.str(queue_id);
    w.str(transport);
    w.str(nexthop);
    w.str(sender);
    w.u8(static_cast<uint8_t>(ret));
    w.str(envid);
    w.u8(static_cast<uint8_t>(body));
    w.boolean(smtputf8);
    w.boolean(requiretls);
    w.str(verp);
    w.str(client_name);
    w.str(client_address);
    w.str(client_port);
    w.str(helo_name);
    w.str(protocol);
    w.str(sasl_method);
    w.str(sasl_username);
    w.str(sasl_sender);
    w.i64(arrival_seconds);
    w.u32(arrival_microseconds);
    w.boolean(verify);
    w.boolean(maybe_delivered);
    w.u32(also_waiting);
    w.u32(static_cast<uint32_t>(recipients.size()));
    for (const auto& recipient : recipients) {
        w.u32(recipient.index);
        recipient.recipient.encode(w);
        w.str(recipient.context);
    }
    w.str(head);
    w.u64(offset);
    w.u64(length);
}

Deliver Deliver::decode(Reader& r) {
    Deliver out;
    out.job = r.u64();
    out.queue_id = r.str();
    out.transport = r.str();
    out.nexthop = r.str();
    out.sender = r.str();
    out.ret = static_cast<Ret>(r.u8());
    out.envid = r.str();
    out.body = static_cast<BodyType>(r.u8());
    out.smtputf8 = r.boolean();
    out.requiretls = r.boolean();
    out.verp = r.str();
    out.client_name = r.str();
    out.client_address = r.str();
    out.client_port = r.str();
    out.helo_name = r.str();
    out.protocol = r.str();
    out.sasl_method = r.str();
    out.sasl_username = r.str();
    out.sasl_sender = r.str();
    out.arrival_seconds = r.i64();
    out.arrival_microseconds = r.u32();
    out.verify = r.boolean();
    out.maybe_delivered = r.boolean();
    out.also_waiting = r.u32();
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) {
        DeliverRecipient recipient;
        recipient.index = r.u32();
        recipient.recipient = Recipient::decode(r);
        recipient.context = r.str();
        out.recipients.push_back(std::move(recipient));
    }
    out.head = r.str();
    out.offset = r.u64();
    out.length = r.u64();
    return out;
}

void Delivered::encode(Writer& w) const {
    w.u64(job);
    w.boolean(destination_failed);
    w.u32(static_cast<uint32_t>(results.size()));
    for (const auto& result : results) encode_result(w, result);
}
Delivered Delivered::decode(Reader& r) {
    Delivered out;
    out.job = r.u64();
    out.destination_failed = r.boolean();
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) out.results.push_back(decode_result(r));
    return out;
}

Expected<size_t> DeliverContent::read_at(char* buffer, size_t length, uint64_t offset) const {
    if (offset < head_.size()) {
        size_t n = std::min(length, head_.size() - static_cast<size_t>(offset));
        std::memcpy(buffer, head_.data() + offset, n);
        return n;
    }
    offset -= head_.size();
    if (offset >= length_) return size_t{0};
    size_t want = static_cast<size_t>(std::min<uint64_t>(length, length_ - offset));
    for (;;) {
        ssize_t n = ::pread(fd_.get(), buffer, want, static_cast<off_t>(offset_ + offset));
        if (n >= 0) return static_cast<size_t>(n);
        if (errno != EINTR) return fail_errno(errno, "queue file read");
    }
}

Expected<std::string> DeliverContent::read_prefix(size_t max) const {
    std::string out;
    out.resize(static_cast<size_t>(std::min<uint64_t>(max, size())));
    size_t have = 0;
    while (have < out.size()) {
        auto n = read_at(out.data() + have, out.size() - have, have);
        if (!n) return fail(n.error());
        if (*n == 0) break;
        have += *n;
    }
    out.resize(have);
    return out;
}

}   // namespace postcot::ipc
