#include "queued/journal/records.h"

#include <algorithm>

namespace postcot::queued {

namespace {

enum : uint8_t { kMessage = 1, kResult, kSchedule, kAddRecipients, kRemoved, kNumbers };

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}   // namespace

void StoredResult::encode(ipc::Writer& w) const {
    w.str(dsn);
    w.str(text);
    w.str(relay);
    w.str(remote_mta);
    w.str(diagnostic);
    w.str(final_recipient);
    w.u8(action);
}

StoredResult StoredResult::decode(ipc::Reader& r) {
    StoredResult out;
    out.dsn = r.str();
    out.text = r.str();
    out.relay = r.str();
    out.remote_mta = r.str();
    out.diagnostic = r.str();
    out.final_recipient = r.str();
    out.action = r.u8();
    return out;
}

void RecipientState::encode(ipc::Writer& w) const {
    w.u8(static_cast<uint8_t>(status));
    w.str(context);
    w.str(transport);
    bool any = !result.dsn.empty() || !result.text.empty();
    w.boolean(any);
    if (any) result.encode(w);
}

RecipientState RecipientState::decode(ipc::Reader& r) {
    RecipientState out;
    out.status = static_cast<RecipientStatus>(r.u8());
    out.context = r.str();
    out.transport = r.str();
    if (r.boolean()) out.result = StoredResult::decode(r);
    return out;
}

bool StoredMessage::finished() const {
    return std::all_of(states.begin(), states.end(), [](const auto& s) { return s.status == RecipientStatus::kDone; });
}

size_t StoredMessage::pending() const {
    return static_cast<size_t>(std::count_if(states.begin(), states.end(),
                                             [](const auto& s) { return s.status == RecipientStatus::kPending; }));
}

void StoredMessage::encode(ipc::Writer& w) const {
    w.str(id);
    envelope.encode(w);
    for (const auto& state : states) state.encode(w);
    w.u32(segment);
    w.u64(offset);
    w.u64(inline_length);
    w.boolean(large);
    w.u64(large_offset);
    w.u64(large_length);
    w.i64(queued_seconds);
    w.i64(next_attempt);
    w.u32(attempts);
    w.u8(static_cast<uint8_t>((hold ? 1 : 0) | (warned ? 2 : 0) | (expire ? 4 : 0)));
    w.str(redirect);
}

StoredMessage StoredMessage::decode(ipc::Reader& r) {
    StoredMessage out;
    out.id = r.str();
    out.envelope = Envelope::decode(r);
    for (size_t i = 0; i < out.envelope.recipients.size() && r.ok(); ++i) out.states.push_back(RecipientState::decode(r));
    out.segment = r.u32();
    out.offset = r.u64();
    out.inline_length = r.u64();
    out.large = r.boolean();
    out.large_offset = r.u64();
    out.large_length = r.u64();
    out.queued_seconds = r.i64();
    out.next_attempt = r.i64();
    out.attempts = r.u32();
    uint8_t flags = r.u8();
    out.hold = flags & 1;
    out.warned = flags & 2;
    out.expire = flags & 4;
    out.redirect = r.str();
    return out;
}

RecordBuilder& RecordBuilder::add(const Op& op) {
    auto& w = writer_;
    std::visit(Overloaded{
                   [&](const OpMessage& m) {
                       w.u8(kMessage);
                       m.message.encode(w);
                       w.str(m.text);
                   },
                   [&](const OpResult& m) {
                       w.u8(kResult);
                       w.str(m.id);
                       w.u32(m.index);
                       m.state.encode(w);
                   },
                   [&](const OpSchedule& m) {
                       w.u8(kSchedule);
                       w.str(m.id);
                       w.i64(m.next_attempt);
                       w.u32(m.attempts);
                       w.boolean(m.hold);
                       w.boolean(m.warned);
                       w.boolean(m.expire);
                   },
                   [&](const OpAddRecipients& m) {
                       w.u8(kAddRecipients);
                       w.str(m.id);
                       w.u32(m.base);
                       w.u32(static_cast<uint32_t>(m.recipients.size()));
                       for (size_t i = 0; i < m.recipients.size(); ++i) {
                           m.recipients[i].encode(w);
                           m.states[i].encode(w);
                       }
                   },
                   [&](const OpRemoved& m) {
                       w.u8(kRemoved);
                       w.str(m.id);
                   },
                   [&](const OpNumbers& m) {
                       w.u8(kNumbers);
                       w.u64(m.high_water);
                   },
               },
               op);
    return *this;
}

bool decode_record(std::string_view payload, std::vector<Op>& ops) {
    ipc::Reader r(payload);
    ops.clear();
    while (r.ok() && !r.at_end()) {
        switch (r.u8()) {
            case kMessage: {
                OpMessage op;
                op.message = StoredMessage::decode(r);
                op.text = r.view();
                ops.emplace_back(std::move(op));
                break;
            }
            case kResult: {
                OpResult op;
                op.id = r.str();
                op.index = r.u32();
                op.state = RecipientState::decode(r);
                ops.emplace_back(std::move(op));
                break;
            }
            case kSchedule: {
                OpSchedule op;
                op.id = r.str();
                op.next_attempt = r.i64();
                op.attempts = r.u32();
                op.hold = r.boolean();
                op.warned = r.boolean();
                op.expire = r.boolean();
                ops.emplace_back(std::move(op));
                break;
            }
            case kAddRecipients: {
                OpAddRecipients op;
                op.id = r.str();
                op.base = r.u32();
                uint32_t count = r.u32();
                for (uint32_t i = 0; i < count && r.ok(); ++i) {
                    op.recipients.push_back(Recipient::decode(r));
                    op.states.push_back(RecipientState::decode(r));
                }
                ops.emplace_back(std::move(op));
                break;
            }
            case kRemoved: {
                OpRemoved op;
                op.id = r.str();
                ops.emplace_back(std::move(op));
                break;
            }
            case kNumbers: {
                OpNumbers op;
                op.high_water = r.u64();
                ops.emplace_back(op);
                break;
            }
            default:
                return false;
        }
    }
    return r.ok();
}

void apply(const Op& op, StoredMessage& message) {
    std::visit(Overloaded{
                   [&](const OpResult& m) {
                       if (m.index < message.states.size()) message.states[m.index] = m.state;
                   },
                   [&](const OpSchedule& m) {
                       message.next_attempt = m.next_attempt;
                       message.attempts = m.attempts;
                       message.hold = m.hold;
                       message.warned = m.warned;
                       message.expire = m.expire;
                   },
                   [&](const OpAddRecipients& m) {
                       if (m.base > message.states.size()) return;
                       message.envelope.recipients.resize(m.base);
                       message.states.resize(m.base);
                       for (size_t i = 0; i < m.recipients.size(); ++i) {
                           message.envelope.recipients.push_back(m.recipients[i]);
                           message.states.push_back(m.states[i]);
                       }
                   },
                   [](const auto&) {},
               },
               op);
}

const std::string& op_id(const Op& op) {
    static const std::string none;
    return std::visit(Overloaded{
                          [](const OpMessage& m) -> const std::string& { return m.message.id; },
                          [](const OpNumbers&) -> const std::string& { return none; },
                          [](const auto& m) -> const std::string& { return m.id; },
                      },
                      op);
}

}   // namespace postcot::queued
