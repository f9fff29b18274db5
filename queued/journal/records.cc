#include "queued/journal/records.h"

#include <algorithm>

#include "queued/journal/records_v1.h"

namespace postcot::queued {

namespace {

// These numbers are on disks: none is ever given another meaning.
namespace tag {
enum Op : uint32_t { kMessage = 1, kResult, kSchedule, kAddRecipients, kRemoved, kNumbers };
// In every op:
constexpr uint32_t kId = 1;
// Of a message and of a schedule:
enum Message : uint32_t {
    kQueuedSeconds = 2,
    kNextAttempt,
    kAttempts,
    kHold,
    kWarned,
    kExpire,
    kRedirect,
    kLarge,
    kLargeOffset,
    kLargeLength,
    kSegment,
    kOffset,
    kInlineLength,
    kRecipient = 20,   // fields of Recipient and RecipientState, one for each
    kSender = 32,
    kRet,
    kEnvid,
    kBody,
    kSmtpUtf8,
    kRequireTls,
    kVerp,
    kFilter,
    kNoRewrite,
    kLocalSubmission,
    kNoHeaderChecks,
    kEnvelopeHold,
    kVerify,
    kArrivalSeconds,
    kArrivalMicroseconds,
    kClientName,
    kClientAddress,
    kClientPort,
    kHeloName,
    kProtocol,
    kSaslMethod,
    kSaslUsername,
    kSaslSender,
    kLogIdent,
    kNoMilters,
    kUnfiltered,
    kCleanupService,
    kText = 127,   // the inline text: the last field, so that a record's reader finds it without reading on
};
enum Recipient : uint32_t {
    kAddress = 1,
    kOriginal,
    kOrcpt,
    kNotify,
    kStatus = 8,
    kContext,
    kTransport,
    kDsn = 16,
    kReason,
    kRelay,
    kRemoteMta,
    kDiagnostic,
    kFinalRecipient,
    kAction,
};
constexpr uint32_t kIndex = 2;       // of a result
constexpr uint32_t kBase = 2;        // of added recipients
constexpr uint32_t kHighWater = 2;   // of numbers
}   // namespace tag

template <class... F>
struct Overloaded : F... {
    using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

// A member more than these names does not compile: it needs a tag, or the disk forgets it.
void write_envelope(FieldWriter& w, const Envelope& e) {
    const auto& [sender, ret, envid, body, smtputf8, requiretls, verp, filter, no_rewrite, local_submission,
                 no_header_checks, no_milters, unfiltered, cleanup_service, hold, verify, recipients, arrival_seconds,
                 arrival_microseconds, client_name, client_address, client_port, helo_name, protocol, sasl_method,
                 sasl_username, sasl_sender, log_ident] = e;
    (void)recipients;   // with their states
    w.text(tag::kSender, sender);
    w.number(tag::kRet, static_cast<uint8_t>(ret));
    w.text(tag::kEnvid, envid);
    w.number(tag::kBody, static_cast<uint8_t>(body));
    w.boolean(tag::kSmtpUtf8, smtputf8);
    w.boolean(tag::kRequireTls, requiretls);
    w.text(tag::kVerp, verp);
    w.text(tag::kFilter, filter);
    w.boolean(tag::kNoRewrite, no_rewrite);
    w.boolean(tag::kLocalSubmission, local_submission);
    w.boolean(tag::kNoHeaderChecks, no_header_checks);
    w.boolean(tag::kNoMilters, no_milters);
    w.boolean(tag::kUnfiltered, unfiltered);
    w.text(tag::kCleanupService, cleanup_service);
    w.boolean(tag::kEnvelopeHold, hold);
    w.boolean(tag::kVerify, verify);
    w.signed_number(tag::kArrivalSeconds, arrival_seconds);
    w.number(tag::kArrivalMicroseconds, arrival_microseconds);
    w.text(tag::kClientName, client_name);
    w.text(tag::kClientAddress, client_address);
    w.text(tag::kClientPort, client_port);
    w.text(tag::kHeloName, helo_name);
    w.text(tag::kProtocol, protocol);
    w.text(tag::kSaslMethod, sasl_method);
    w.text(tag::kSaslUsername, sasl_username);
    w.text(tag::kSaslSender, sasl_sender);
    w.text(tag::kLogIdent, log_ident);
}

bool read_envelope_field(const FieldReader& r, Envelope& e) {
    switch (r.tag()) {
        case tag::kSender: e.sender = r.text(); return true;
        case tag::kRet: e.ret = static_cast<ipc::Ret>(r.number()); return true;
        case tag::kEnvid: e.envid = r.text(); return true;
        case tag::kBody: e.body = static_cast<ipc::BodyType>(r.number()); return true;
        case tag::kSmtpUtf8: e.smtputf8 = r.boolean(); return true;
        case tag::kRequireTls: e.requiretls = r.boolean(); return true;
        case tag::kVerp: e.verp = r.text(); return true;
        case tag::kFilter: e.filter = r.text(); return true;
        case tag::kNoRewrite: e.no_rewrite = r.boolean(); return true;
        case tag::kLocalSubmission: e.local_submission = r.boolean(); return true;
        case tag::kNoHeaderChecks: e.no_header_checks = r.boolean(); return true;
        case tag::kNoMilters: e.no_milters = r.boolean(); return true;
        case tag::kUnfiltered: e.unfiltered = r.boolean(); return true;
        case tag::kCleanupService: e.cleanup_service = r.text(); return true;
        case tag::kEnvelopeHold: e.hold = r.boolean(); return true;
        case tag::kVerify: e.verify = r.boolean(); return true;
        case tag::kArrivalSeconds: e.arrival_seconds = r.signed_number(); return true;
        case tag::kArrivalMicroseconds: e.arrival_microseconds = static_cast<uint32_t>(r.number()); return true;
        case tag::kClientName: e.client_name = r.text(); return true;
        case tag::kClientAddress: e.client_address = r.text(); return true;
        case tag::kClientPort: e.client_port = r.text(); return true;
        case tag::kHeloName: e.helo_name = r.text(); return true;
        case tag::kProtocol: e.protocol = r.text(); return true;
        case tag::kSaslMethod: e.sasl_method = r.text(); return true;
        case tag::kSaslUsername: e.sasl_username = r.text(); return true;
        case tag::kSaslSender: e.sasl_sender = r.text(); return true;
        case tag::kLogIdent: e.log_ident = r.text(); return true;
        default: return false;
    }
}

void write_state(FieldWriter& w, const RecipientState& state) {
    const auto& [status, context, transport, result, unknown] = state;
    const auto& [dsn, text, relay, remote_mta, diagnostic, final_recipient, action] = result;
    w.number(tag::kStatus, static_cast<uint8_t>(status));
    w.text(tag::kContext, context);
    w.text(tag::kTransport, transport);
    w.text(tag::kDsn, dsn);
    w.text(tag::kReason, text);
    w.text(tag::kRelay, relay);
    w.text(tag::kRemoteMta, remote_mta);
    w.text(tag::kDiagnostic, diagnostic);
    w.text(tag::kFinalRecipient, final_recipient);
    w.number(tag::kAction, action);
    w.raw(unknown);
}

std::string recipient_fields(const Recipient& recipient, const RecipientState& state) {
    const auto& [address, original, orcpt, notify] = recipient;
    FieldWriter w;
    w.text(tag::kAddress, address);
    w.text(tag::kOriginal, original);
    w.text(tag::kOrcpt, orcpt);
    w.number(tag::kNotify, notify);
    write_state(w, state);
    return w.take();
}

bool read_recipient(std::string_view fields, Recipient& recipient, RecipientState& state) {
    FieldReader r(fields);
    while (r.next()) {
        switch (r.tag()) {
            case tag::kAddress: recipient.address = r.text(); break;
            case tag::kOriginal: recipient.original = r.text(); break;
            case tag::kOrcpt: recipient.orcpt = r.text(); break;
            case tag::kNotify: recipient.notify = static_cast<uint8_t>(r.number()); break;
            case tag::kStatus: state.status = static_cast<RecipientStatus>(r.number()); break;
            case tag::kContext: state.context = r.text(); break;
            case tag::kTransport: state.transport = r.text(); break;
            case tag::kDsn: state.result.dsn = r.text(); break;
            case tag::kReason: state.result.text = r.text(); break;
            case tag::kRelay: state.result.relay = r.text(); break;
            case tag::kRemoteMta: state.result.remote_mta = r.text(); break;
            case tag::kDiagnostic: state.result.diagnostic = r.text(); break;
            case tag::kFinalRecipient: state.result.final_recipient = r.text(); break;
            case tag::kAction: state.result.action = static_cast<uint8_t>(r.number()); break;
            default: state.unknown += r.whole();
        }
    }
    return r.ok();
}

void write_message(FieldWriter& w, const StoredMessage& m) {
    const auto& [id, envelope, states, segment, offset, inline_length, large, large_offset, large_length,
                 queued_seconds, next_attempt, attempts, hold, warned, expire, redirect, unknown] = m;
    w.text(tag::kId, id);
    write_envelope(w, envelope);
    for (size_t i = 0; i < states.size(); ++i)
        w.field(tag::kRecipient, recipient_fields(envelope.recipients[i], states[i]));
    w.number(tag::kSegment, segment);
    w.number(tag::kOffset, offset);
    w.number(tag::kInlineLength, inline_length);
    w.boolean(tag::kLarge, large);
    w.number(tag::kLargeOffset, large_offset);
    w.number(tag::kLargeLength, large_length);
    w.signed_number(tag::kQueuedSeconds, queued_seconds);
    w.signed_number(tag::kNextAttempt, next_attempt);
    w.number(tag::kAttempts, attempts);
    w.boolean(tag::kHold, hold);
    w.boolean(tag::kWarned, warned);
    w.boolean(tag::kExpire, expire);
    w.text(tag::kRedirect, redirect);
    w.raw(unknown);
}

bool read_message_field(const FieldReader& r, StoredMessage& m) {
    switch (r.tag()) {
        case tag::kId: m.id = r.text(); return true;
        case tag::kSegment: m.segment = static_cast<uint32_t>(r.number()); return true;
        case tag::kOffset: m.offset = r.number(); return true;
        case tag::kInlineLength: m.inline_length = r.number(); return true;
        case tag::kLarge: m.large = r.boolean(); return true;
        case tag::kLargeOffset: m.large_offset = r.number(); return true;
        case tag::kLargeLength: m.large_length = r.number(); return true;
        case tag::kQueuedSeconds: m.queued_seconds = r.signed_number(); return true;
        case tag::kNextAttempt: m.next_attempt = r.signed_number(); return true;
        case tag::kAttempts: m.attempts = static_cast<uint32_t>(r.number()); return true;
        case tag::kHold: m.hold = r.boolean(); return true;
        case tag::kWarned: m.warned = r.boolean(); return true;
        case tag::kExpire: m.expire = r.boolean(); return true;
        case tag::kRedirect: m.redirect = r.text(); return true;
        default: return false;
    }
}

// `text` is null where there must be none.
bool read_message(std::string_view fields, StoredMessage& m, std::string_view* text) {
    FieldReader r(fields);
    while (r.next()) {
        if (r.tag() == tag::kRecipient) {
            m.envelope.recipients.emplace_back();
            m.states.emplace_back();
            if (!read_recipient(r.value(), m.envelope.recipients.back(), m.states.back())) return false;
        } else if (r.tag() == tag::kText && text) {
            *text = r.value();
        } else if (!read_message_field(r, m) && !read_envelope_field(r, m.envelope)) {
            m.unknown += r.whole();
        }
    }
    return r.ok() && !m.id.empty();
}

void write_op(FieldWriter& out, const OpMessage& op) {
    FieldWriter w;
    write_message(w, op.message);
    w.begin(tag::kText, op.text.size());
    out.begin(tag::kMessage, w.bytes().size() + op.text.size());
    out.raw(w.bytes());
    out.raw(op.text);   // up to 128 KiB: copied once
}

void write_op(FieldWriter& out, const OpResult& op) {
    FieldWriter w;
    w.text(tag::kId, op.id);
    w.number(tag::kIndex, op.index);
    write_state(w, op.state);
    out.field(tag::kResult, w.bytes());
}

void write_op(FieldWriter& out, const OpSchedule& op) {
    const auto& [id, next_attempt, attempts, hold, warned, expire, unknown] = op;
    FieldWriter w;
    w.text(tag::kId, id);
    w.signed_number(tag::kNextAttempt, next_attempt);
    w.number(tag::kAttempts, attempts);
    w.boolean(tag::kHold, hold);
    w.boolean(tag::kWarned, warned);
    w.boolean(tag::kExpire, expire);
    w.raw(unknown);
    out.field(tag::kSchedule, w.bytes());
}

void write_op(FieldWriter& out, const OpAddRecipients& op) {
    FieldWriter w;
    w.text(tag::kId, op.id);
    w.number(tag::kBase, op.base);
    for (size_t i = 0; i < op.recipients.size(); ++i) {
        w.field(tag::kRecipient, recipient_fields(op.recipients[i], op.states[i]));
    }
    out.field(tag::kAddRecipients, w.bytes());
}

void write_op(FieldWriter& out, const OpRemoved& op) {
    FieldWriter w;
    w.text(tag::kId, op.id);
    out.field(tag::kRemoved, w.bytes());
}

void write_op(FieldWriter& out, const OpNumbers& op) {
    FieldWriter w;
    w.number(tag::kHighWater, op.high_water);
    out.field(tag::kNumbers, w.bytes());
}

bool read_result(std::string_view body, OpResult& op) {
    std::string rest;
    FieldReader r(body);
    while (r.next()) {
        // The state's tags begin where these end.
        if (r.tag() == tag::kId) {
            op.id = r.text();
        } else if (r.tag() == tag::kIndex) {
            op.index = static_cast<uint32_t>(r.number());
        } else {
            rest += r.whole();
        }
    }
    Recipient none;
    return r.ok() && !op.id.empty() && read_recipient(rest, none, op.state);
}

bool read_schedule(std::string_view body, OpSchedule& op) {
    StoredMessage m;
    FieldReader r(body);
    while (r.next()) {
        if (!read_message_field(r, m)) op.unknown += r.whole();
    }
    op.id = m.id;
    op.next_attempt = m.next_attempt;
    op.attempts = m.attempts;
    op.hold = m.hold;
    op.warned = m.warned;
    op.expire = m.expire;
    return r.ok() && !op.id.empty();
}

bool read_added(std::string_view body, OpAddRecipients& op) {
    FieldReader r(body);
    while (r.next()) {
        if (r.tag() == tag::kId) op.id = r.text();
        if (r.tag() == tag::kBase) op.base = static_cast<uint32_t>(r.number());
        if (r.tag() != tag::kRecipient) continue;
        op.recipients.emplace_back();
        op.states.emplace_back();
        if (!read_recipient(r.value(), op.recipients.back(), op.states.back())) return false;
    }
    return r.ok() && !op.id.empty();
}

bool read_one(uint32_t wanted, std::string_view body, std::string* text, uint64_t* number) {
    FieldReader r(body);
    while (r.next()) {
        if (r.tag() != wanted) continue;
        if (text) *text = r.text();
        if (number) *number = r.number();
    }
    return r.ok();
}

bool read_op(uint32_t kind, std::string_view body, std::vector<Op>& ops) {
    auto keep = [&](bool whole, Op op) {
        if (whole) ops.push_back(std::move(op));
        return whole;
    };
    switch (kind) {
        case tag::kMessage: {
            OpMessage op;
            const bool whole = read_message(body, op.message, &op.text);
            return keep(whole, std::move(op));
        }
        case tag::kResult: {
            OpResult op;
            const bool whole = read_result(body, op);
            return keep(whole, std::move(op));
        }
        case tag::kSchedule: {
            OpSchedule op;
            const bool whole = read_schedule(body, op);
            return keep(whole, std::move(op));
        }
        case tag::kAddRecipients: {
            OpAddRecipients op;
            const bool whole = read_added(body, op);
            return keep(whole, std::move(op));
        }
        case tag::kRemoved: {
            OpRemoved op;
            const bool whole = read_one(tag::kId, body, &op.id, nullptr) && !op.id.empty();
            return keep(whole, std::move(op));
        }
        case tag::kNumbers: {
            OpNumbers op;
            const bool whole = read_one(tag::kHighWater, body, nullptr, &op.high_water);
            return keep(whole, op);
        }
        default: return false;
    }
}

}   // namespace

bool StoredMessage::finished() const {
    return std::all_of(states.begin(), states.end(), [](const auto& s) { return s.status == RecipientStatus::kDone; });
}

size_t StoredMessage::pending() const {
    return static_cast<size_t>(std::count_if(states.begin(), states.end(),
                                             [](const auto& s) { return s.status == RecipientStatus::kPending; }));
}

RecordBuilder& RecordBuilder::add(const Op& op) {
    std::visit([this](const auto& one) { write_op(writer_, one); }, op);
    return *this;
}

bool decode_record(std::string_view payload, unsigned format, std::vector<Op>& ops) {
    if (format == 1) return decode_record_v1(payload, ops);
    ops.clear();
    bool whole = true;
    FieldReader r(payload);
    while (r.next()) whole = read_op(r.tag(), r.value(), ops) && whole;
    return whole && r.ok();
}

std::string encode_message(const StoredMessage& message) {
    FieldWriter w;
    write_message(w, message);
    return w.take();
}

StoredMessage decode_message(std::string_view bytes) {
    StoredMessage out;
    if (!read_message(bytes, out, nullptr)) return {};
    return out;
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
                       message.unknown = merge_fields(message.unknown, m.unknown);
                   },
                   [&](const OpAddRecipients& m) {
                       // Whoever stood between what is known and `base` was lost with a damaged record; those behind are not lost with them.
                       RecipientState lost;
                       lost.status = RecipientStatus::kDone;
                       message.envelope.recipients.resize(m.base);
                       message.states.resize(m.base, lost);
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
