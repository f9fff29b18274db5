#include "queued/postfix_queue/convert.h"

#include <algorithm>

namespace postcot::queued {

namespace pq = postfix_queue;

namespace {

const pq::DeliveryLogEntry* entry_of(const std::vector<pq::DeliveryLogEntry>& entries, const pq::Recipient& recipient) {
    // A later line replaces an earlier one.
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        bool same = entry->offset ? entry->offset == recipient.offset : entry->recipient == recipient.address;
        if (same) return &*entry;
    }
    return nullptr;
}

constexpr const char* kActions[] = {"delivered", "relayed", "expanded", "deliverable", "undeliverable"};

StoredResult result_of(const pq::DeliveryLogEntry& entry) {
    StoredResult out;
    out.dsn = entry.status;
    out.text = entry.reason;
    out.diagnostic = entry.diagnostic;
    out.remote_mta = entry.remote_mta;
    for (uint8_t i = 1; i < 5; ++i) {
        if (entry.action == kActions[i]) out.action = i;
    }
    return out;
}

pq::DeliveryLogEntry entry_for(const StoredResult& result, const pq::Recipient& recipient, const char* action) {
    pq::DeliveryLogEntry out;
    out.recipient = recipient.address;
    out.original = recipient.original;
    out.offset = recipient.offset;
    out.orcpt = recipient.orcpt;
    out.notify = recipient.notify;
    out.status = result.dsn;
    out.action = action;
    out.reason = result.text;
    out.diagnostic = result.diagnostic;
    out.remote_mta = result.remote_mta;
    return out;
}

}   // namespace

void envelope_facts(const pq::Message& message, Envelope& out) {
    auto either = [&](const char* a, const char* b) {
        const auto& first = message.attribute(a);
        return first.empty() ? message.attribute(b) : first;
    };
    out.sender = message.sender;
    out.ret = static_cast<ipc::Ret>(message.ret);
    out.envid = message.envid;
    const auto& encoding = message.attribute("encoding");
    if (encoding == "8bit") out.body = ipc::BodyType::k8BitMime;
    if (encoding == "7bit") out.body = ipc::BodyType::k7Bit;
    out.smtputf8 = message.smtputf8 || message.attribute("smtputf8") == "yes";
    out.verp = message.verp;
    out.verify = message.trace_flags() & pq::Message::kVerifyForUser;
    out.filter = message.filter;
    // What XFORWARD said goes before what the connection was.
    out.client_name = either("log_client_name", "client_name");
    out.client_address = either("log_client_address", "client_address");
    out.client_port = either("log_client_port", "client_port");
    out.helo_name = either("log_helo_name", "helo_name");
    out.protocol = either("log_protocol_name", "protocol_name");
    out.sasl_method = message.attribute("sasl_method");
    out.sasl_username = message.attribute("sasl_username");
    out.sasl_sender = message.attribute("sasl_sender");
    out.arrival_seconds = message.arrival_seconds;
    out.arrival_microseconds = message.arrival_microseconds;
}

StoredMessage from_postfix(const pq::Message& message, const DeliveryLogs& logs) {
    StoredMessage out;
    envelope_facts(message, out.envelope);
    auto add = [&](const pq::Recipient& from, RecipientState state) {
        Recipient to;
        to.address = from.address;
        if (from.original != from.address) to.original = from.original;
        to.orcpt = from.orcpt;
        to.notify = from.notify;
        out.envelope.recipients.push_back(std::move(to));
        out.states.push_back(std::move(state));
    };
    bool redirected = false;
    for (const auto& recipient : message.recipients) {
        RecipientState state;
        if (recipient.done) {
            const auto* bounced = entry_of(logs.bounce, recipient);
            const auto* traced = entry_of(logs.trace, recipient);
            if (!bounced && !traced) continue;
            state.status = bounced ? RecipientStatus::kBounced : RecipientStatus::kSentNotify;
            state.result = result_of(bounced ? *bounced : *traced);
        } else if (!message.redirect.empty()) {
            // All of them, as Postfix's qmgr(8) has it: one delivery to the address that REDIRECT named.
            if (redirected) continue;
            redirected = true;
            pq::Recipient to = recipient;
            to.original = recipient.original.empty() ? recipient.address : recipient.original;
            to.address = message.redirect;
            add(to, std::move(state));
            continue;
        } else if (const auto* deferred = entry_of(logs.defer, recipient)) {
            state.result = result_of(*deferred);
        }
        add(recipient, std::move(state));
    }
    out.warned = message.warned;
    out.queued_seconds = message.create_seconds > 0 ? message.create_seconds : message.arrival_seconds;
    return out;
}

pq::Message to_postfix(const StoredMessage& message, std::vector<size_t>& states) {
    const Envelope& envelope = message.envelope;
    pq::Message out;
    out.arrival_seconds = envelope.arrival_seconds;
    out.arrival_microseconds = envelope.arrival_microseconds;
    out.create_seconds = message.queued_seconds;
    out.sender = envelope.sender;
    out.filter = envelope.filter;
    out.verp = envelope.verp;
    out.envid = envelope.envid;
    out.ret = static_cast<uint8_t>(envelope.ret);
    out.smtputf8 = envelope.smtputf8;
    out.warned = message.warned;
    auto attribute = [&out](const char* name, const std::string& value) {
        if (!value.empty()) out.attributes[name] = value;
    };
    if (envelope.body == ipc::BodyType::k8BitMime || envelope.body == ipc::BodyType::kBinaryMime)
        attribute("encoding", "8bit");
    if (envelope.body == ipc::BodyType::k7Bit) attribute("encoding", "7bit");
    attribute("rewrite_context", envelope.client_address.empty() ? "local" : "remote");
    if (envelope.client_address.empty()) {
        attribute("log_message_origin", "local");
    } else {
        attribute("log_message_origin", envelope.client_name + "[" + envelope.client_address + "]");
        for (const char* prefix : {"log_", ""}) {
            auto with = [&](const char* name) { return std::string(prefix) + name; };
            attribute(with("client_name").c_str(), envelope.client_name);
            attribute(with("client_address").c_str(), envelope.client_address);
            attribute(with("client_port").c_str(), envelope.client_port);
            attribute(with("helo_name").c_str(), envelope.helo_name);
            attribute(with("protocol_name").c_str(), envelope.protocol);
        }
    }
    attribute("sasl_method", envelope.sasl_method);
    attribute("sasl_username", envelope.sasl_username);
    attribute("sasl_sender", envelope.sasl_sender);
    if (envelope.verify) attribute("trace_flags", std::to_string(pq::Message::kVerifyForUser));

    states.clear();
    auto add = [&](size_t index, std::string address, bool done) {
        const Recipient& from = envelope.recipients[index];
        pq::Recipient to;
        to.address = std::move(address);
        to.original = from.original.empty() ? from.address : from.original;
        to.orcpt = from.orcpt;
        to.notify = from.notify;
        to.done = done;
        out.recipients.push_back(std::move(to));
        states.push_back(index);
    };
    std::vector<std::string> expanded;
    for (size_t i = 0; i < message.states.size(); ++i) {
        const auto& state = message.states[i];
        if (state.status == RecipientStatus::kDone) continue;
        std::string address = envelope.recipients[i].address;
        if (state.status == RecipientStatus::kPending && !state.context.empty()) {
            // A command or file that an alias named: Postfix has no such recipients and looks the alias up again, once.
            if (!envelope.recipients[i].original.empty()) address = envelope.recipients[i].original;
            if (std::find(expanded.begin(), expanded.end(), address) != expanded.end()) continue;
            expanded.push_back(address);
        }
        add(i, std::move(address), state.status != RecipientStatus::kPending);
    }
    return out;
}

DeliveryLogs logs_for_postfix(const StoredMessage& message, const std::vector<pq::Recipient>& recipients,
                              const std::vector<size_t>& states) {
    DeliveryLogs out;
    for (size_t i = 0; i < recipients.size(); ++i) {
        const auto& state = message.states[states[i]];
        if (state.status == RecipientStatus::kPending) {
            if (!state.result.text.empty()) out.defer.push_back(entry_for(state.result, recipients[i], "delayed"));
        } else if (state.status == RecipientStatus::kBounced) {
            out.bounce.push_back(entry_for(state.result, recipients[i], "failed"));
        } else {
            const char* action = state.result.action < 5 ? kActions[state.result.action] : kActions[0];
            out.trace.push_back(entry_for(state.result, recipients[i], action));
        }
    }
    return out;
}

}   // namespace postcot::queued
