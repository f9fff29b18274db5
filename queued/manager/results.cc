#include <algorithm>

#include "libproto/runtime/log.h"
#include "libproto/smtp/path.h"
#include "queued/log_lines.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

void QueueManager::delivered(ipc::Delivered answer) {
    auto found = jobs_.find(answer.job);
    if (found == jobs_.end()) return;
    auto entry = std::move(found->second.entry);
    bool remote = found->second.remote;
    jobs_.erase(found);
    ActiveMessage& message = *entry->message;
    if (remote) message.durable_results = true;

    StoredResult why;
    std::vector<Store::Extra> forwards;
    for (uint32_t index : entry->recipients) {
        auto result =
            std::find_if(answer.results.begin(), answer.results.end(), [&](const auto& r) { return r.index == index; });
        if (result == answer.results.end()) {
            ipc::RecipientResult missing;
            missing.index = index;
            missing.dsn = "4.3.0";
            missing.text = "unknown mail transport error";
            one_result(message, *entry, missing, forwards);
            continue;
        }
        if (result->outcome == ipc::Outcome::kDeferred && why.text.empty()) {
            why.dsn = result->dsn;
            why.text = result->text;
        }
        one_result(message, *entry, *result, forwards);
    }
    scheduler_->finished(std::move(entry), answer.destination_failed, why, now());
    --message.entries;
    after_results(message, std::move(forwards));
    work();
}

void QueueManager::agent_lost(bool remote) {
    std::vector<uint64_t> lost;
    for (const auto& [id, job] : jobs_) {
        if (job.remote == remote) lost.push_back(id);
    }
    std::sort(lost.rbegin(), lost.rend());   // the oldest ends up in front
    if (!lost.empty())
        log::warning("delivery agent \"{}\" ended with {} deliveries under way", remote ? "remote" : "local",
                     lost.size());
    for (uint64_t id : lost) {
        auto job = jobs_.extract(id);
        scheduler_->again(std::move(job.mapped().entry));
    }
}

void QueueManager::suspended(std::unique_ptr<Entry> entry, const StoredResult& why) {
    ActiveMessage& message = *entry->message;
    for (uint32_t index : entry->recipients) {
        defer(message, index, why.dsn.empty() ? "4.4.1" : why.dsn, "delivery temporarily suspended: " + why.text,
              settings().syslog_name + "/error");
    }
    entry.reset();
    --message.entries;
    finish_when_idle(message);
}

void QueueManager::log_recipient(const ActiveMessage& message, const Entry* entry, const ipc::RecipientResult& result,
                                 const char* status, const std::string& text, const std::string& ident) {
    const StoredMessage& stored = message.stored;
    const Recipient& recipient = stored.envelope.recipients[result.index];
    double at = now();
    double arrival = static_cast<double>(stored.envelope.arrival_seconds) + stored.envelope.arrival_microseconds * 1e-6;
    RecipientLine line;
    line.queue_id = stored.id;
    line.address = recipient.address;
    line.original = recipient.original;
    line.relay = result.relay;
    line.before_queue = message.entered - arrival;
    if (entry) {
        line.in_queue = entry->sent - message.entered;
        line.connecting = result.connect_delay;
        line.transmitting = result.transmit_delay;
        if (line.connecting <= 0 && line.transmitting <= 0) line.transmitting = at - entry->sent;
    } else {
        line.in_queue = at - message.entered;
    }
    line.dsn = result.dsn;
    line.status = status;
    line.text = text;
    log::write_as(ident, log::Level::kInfo, recipient_line(line, settings().delay_digits));
}

void QueueManager::set_state(ActiveMessage& message, uint32_t index, RecipientState state) {
    OpResult op;
    op.id = message.stored.id;
    op.index = index;
    op.state = state;
    message.unsaved.emplace_back(std::move(op));
    message.stored.states[index] = std::move(state);
}

void QueueManager::one_result(ActiveMessage& message, const Entry& entry, const ipc::RecipientResult& given,
                              std::vector<Store::Extra>& forwards) {
    if (given.index >= message.stored.states.size()) return;
    const std::string& ident = entry.destination->transport.settings.ident;
    const Recipient& recipient = message.stored.envelope.recipients[given.index];
    ipc::RecipientResult result = given;
    if (result.outcome == ipc::Outcome::kBounced && settings().soft_bounce) {
        result.outcome = ipc::Outcome::kDeferred;
        if (!result.dsn.empty()) result.dsn[0] = '4';
    }
    RecipientState state;
    state.context = message.stored.states[given.index].context;
    state.transport = message.stored.states[given.index].transport;
    state.result.dsn = result.dsn;
    state.result.text = result.text;
    state.result.relay = result.relay;
    state.result.remote_mta = result.remote_mta;
    state.result.diagnostic = result.diagnostic;
    state.result.final_recipient = result.final_recipient;
    if (message.stored.envelope.verify && result.outcome != ipc::Outcome::kExpanded) {
        probed(message, &entry, result, std::move(state), ident);
        return;
    }
    switch (result.outcome) {
        case ipc::Outcome::kSent:
            if ((recipient.notify & ipc::kNotifySuccess) && !result.dsn_passed_on) {
                state.status = RecipientStatus::kSentNotify;
                state.result.action = result.relayed_without_dsn ? 1 : 0;
            } else {
                state.status = RecipientStatus::kDone;
                state.result = {};
            }
            log_recipient(message, &entry, result, "sent", result.text, ident);
            break;
        case ipc::Outcome::kDeferred:
            state.status = RecipientStatus::kPending;
            log_recipient(message, &entry, result, "deferred", result.text, ident);
            break;
        case ipc::Outcome::kBounced:
            state.status = RecipientStatus::kBounced;
            log_recipient(message, &entry, result, "bounced", result.text, ident);
            break;
        case ipc::Outcome::kExpanded: expanded(message, entry, result, forwards); return;
    }
    set_state(message, given.index, std::move(state));
}

// sendmail -bv: whatever it is, it is the answer. Nothing is tried again.
void QueueManager::probed(ActiveMessage& message, const Entry* entry, const ipc::RecipientResult& result,
                          RecipientState state, const std::string& ident) {
    const bool deliverable = result.outcome == ipc::Outcome::kSent;
    state.status = RecipientStatus::kSentNotify;
    state.result.dsn = result.dsn;
    state.result.text = result.text;
    state.result.action = deliverable ? 3 : 4;
    log_recipient(message, entry, result, deliverable ? "deliverable" : "undeliverable", result.text, ident);
    set_state(message, result.index, std::move(state));
}

void QueueManager::expanded(ActiveMessage& message, const Entry& entry, const ipc::RecipientResult& result,
                            std::vector<Store::Extra>& forwards) {
    const std::string& ident = entry.destination->transport.settings.ident;
    StoredMessage& stored = message.stored;
    const Recipient original = stored.envelope.recipients[result.index];
    OpAddRecipients added;
    added.id = stored.id;
    added.base = static_cast<uint32_t>(stored.states.size());
    std::vector<std::string> addresses;
    for (const auto& expansion : result.expansions) {
        if (expansion.context.empty() && expansion.transport.empty()) {
            addresses.push_back(expansion.address);
            continue;
        }
        Recipient recipient = original;
        if (!expansion.address.empty() && expansion.address != original.address) {
            recipient.address = expansion.address;
            if (recipient.original.empty()) recipient.original = original.address;
        }
        RecipientState state;
        state.context = expansion.context;
        state.transport = expansion.transport;
        added.recipients.push_back(std::move(recipient));
        added.states.push_back(std::move(state));
    }
    RecipientState state;
    state.status = RecipientStatus::kDone;
    if (!addresses.empty() && stored.envelope.verify) {
        // One line for each, as if it had been a recipient all along; it is not asked.
        for (const auto& address : addresses) {
            Recipient recipient = original;
            recipient.address = address;
            if (recipient.original.empty()) recipient.original = original.address;
            RecipientState known;
            known.status = RecipientStatus::kSentNotify;
            known.result.dsn = "2.0.0";
            known.result.text = "forwards to " + address;
            known.result.relay = result.relay;
            known.result.action = 3;
            added.recipients.push_back(std::move(recipient));
            added.states.push_back(std::move(known));
        }
    } else if (!addresses.empty()) {
        Submission forward;
        auto& input = forward.input;
        input.queue_id = new_queue_id();
        input.envelope = stored.envelope;
        input.envelope.local_submission = false;
        input.envelope.filter.clear();
        input.envelope.cleanup_service.clear();
        input.envelope.unfiltered = false;
        input.envelope.recipients.clear();
        const bool owned =
            result.null_new_sender || !result.new_sender.empty();   // RFC 3461 §5.2.7.3: a list answers for itself
        if (owned) input.envelope.sender = result.new_sender;
        for (const auto& address : addresses) {
            Recipient recipient;
            recipient.address = address;
            recipient.original = original.original.empty() ? original.address : original.original;
            if (!owned) {
                recipient.orcpt = original.orcpt;
                recipient.notify = original.notify;
            }
            input.envelope.recipients.push_back(std::move(recipient));
        }
        input.internal = true;
        std::string trace;
        if (!result.delivered_to.empty()) trace = "Delivered-To: " + smtp::to_external(result.delivered_to) + "\n";
        auto head = message.head ? Expected<std::string>(*message.head) : store_.read_head(stored);
        Expected<Store::Extra> made =
            head ? Expected<Store::Extra>(Store::Extra{}) : Expected<Store::Extra>(fail(head.error()));
        if (head && stored.large) {
            // The text is shared by a hard link; only what stands before it differs.
            auto linked = store_.link_large(stored.id, input.queue_id);
            auto file = linked ? store_.open_large(stored) : Expected<std::unique_ptr<File>>(fail(linked.error()));
            if (!file) {
                made = fail(file.error());
            } else {
                const std::string id = input.queue_id;
                forward.text = trace + *head;
                made = prepare(forward);
                if (made) {
                    made->message.large = true;
                    made->message.large_offset = stored.large_offset;
                    made->message.large_length = stored.large_length;
                    made->files.push_back(std::move(*file));
                } else {
                    (void)store_.files().unlink(store_.large_path(id));
                }
            }
        } else if (head) {
            forward.text = trace + *head;
            made = prepare(forward);
        }
        if (!made) {
            ipc::RecipientResult failed = result;
            bool permanent = made.error().code >= 500 && made.error().code < 600;
            failed.dsn = !made.error().enhanced.empty() ? made.error().enhanced : permanent ? "5.3.0" : "4.3.0";
            failed.text = "forwarding failed: " + made.error().text;
            state.result.dsn = failed.dsn;
            state.result.text = failed.text;
            state.status = permanent ? RecipientStatus::kBounced : RecipientStatus::kPending;
            log_recipient(message, &entry, failed, permanent ? "bounced" : "deferred", failed.text, ident);
            set_state(message, result.index, std::move(state));
            return;
        }
        ipc::RecipientResult sent = result;
        if (sent.dsn.empty()) sent.dsn = "2.0.0";
        log_recipient(message, &entry, sent, "sent", "forwarded as " + made->message.id, ident);
        if (owned && (original.notify & ipc::kNotifySuccess)) {
            state.status = RecipientStatus::kSentNotify;
            state.result.dsn = "2.0.0";
            state.result.text = sent.text;
            state.result.action = 2;
        }
        forwards.push_back(std::move(*made));
    }
    std::vector<uint32_t> fresh;
    for (size_t i = 0; i < added.recipients.size(); ++i) {
        if (added.states[i].status == RecipientStatus::kPending) fresh.push_back(added.base + static_cast<uint32_t>(i));
    }
    if (const size_t count = added.recipients.size(); count > 0) {
        const uint32_t base = added.base;
        Op op(std::move(added));
        queued::apply(op, stored);
        active_recipients_ += count;
        message.unsaved.push_back(std::move(op));
        for (uint32_t i = base; i < base + count; ++i) {
            if (stored.states[i].status != RecipientStatus::kSentNotify) continue;
            ipc::RecipientResult known;
            known.index = i;
            known.dsn = stored.states[i].result.dsn;
            known.relay = stored.states[i].result.relay;
            log_recipient(message, &entry, known, "deliverable", stored.states[i].result.text, ident);
        }
    }
    set_state(message, result.index, std::move(state));
    if (!fresh.empty()) assign(message, fresh);
}

void QueueManager::after_results(ActiveMessage& message, std::vector<Store::Extra> forwards) {
    if (message.entries == 0) {
        finish_round(message, std::move(forwards));
        return;
    }
    if (!message.unsaved.empty() || !forwards.empty()) {
        record_with(std::move(message.unsaved), std::move(forwards), message.durable_results, nullptr);
        message.unsaved.clear();
    }
}

void QueueManager::defer(ActiveMessage& message, uint32_t index, const std::string& dsn, const std::string& text,
                         const std::string& ident) {
    ipc::RecipientResult result;
    result.index = index;
    result.dsn = dsn;
    result.text = text;
    if (message.stored.envelope.verify) {
        probed(message, nullptr, result, message.stored.states[index], ident);
        return;
    }
    log_recipient(message, nullptr, result, "deferred", text, ident);
    RecipientState state = message.stored.states[index];
    if (state.result.dsn == dsn && state.result.text == text) return;
    state.result = {};
    state.result.dsn = dsn;
    state.result.text = text;
    set_state(message, index, std::move(state));
}

void QueueManager::finish_when_idle(ActiveMessage& message) {
    if (message.entries == 0) finish_round(message, {});
}

void QueueManager::let_go(ActiveMessage& message) {
    active_recipients_ -= std::min(active_recipients_, message.stored.states.size());
    if (message.head) cached_heads_ -= std::min(cached_heads_, message.head->size());
    active_.erase(std::string(message.stored.id));
}

// Every part of the message has been tried.
void QueueManager::finish_round(ActiveMessage& message, std::vector<Store::Extra> extra) {
    StoredMessage& stored = message.stored;
    const std::string& qmgr = settings().qmgr_ident;
    if (message.then == ActiveMessage::Then::kRemove) {
        record_with({}, std::move(extra), true, &stored);
        let_go(message);
        return;
    }
    if (message.then == ActiveMessage::Then::kSetAside) {
        if (set_aside(message, extra)) {
            record_with({}, std::move(extra), true, &stored);
            let_go(message);
        } else {
            try_later(message, std::move(extra));
        }
        return;
    }
    int64_t at = static_cast<int64_t>(now());
    int64_t age = at - stored.queued_seconds;
    auto lifetime = stored.envelope.sender.empty() ? settings().bounce_lifetime : settings().maximal_lifetime;
    if (stored.pending() > 0 && (stored.expire || (age >= lifetime.count() && !message.waits_for_filter))) {
        log::info_as(qmgr, "{}: from=<{}>, status={}, returned to sender", stored.id,
                     smtp::to_external(stored.envelope.sender), stored.expire ? "force-expired" : "expired");
        for (uint32_t i = 0; i < stored.states.size(); ++i) {
            if (stored.states[i].status != RecipientStatus::kPending) continue;
            RecipientState state = stored.states[i];
            state.status = RecipientStatus::kBounced;
            if (state.result.text.empty()) {
                state.result.dsn = "4.4.7";
                state.result.text = "delivery time expired";
            }
            set_state(message, i, std::move(state));
        }
    }
    const bool told = notices(message, extra);
    bool warn = stored.pending() > 0 && !stored.warned && settings().delay_warning.count() > 0 &&
                age >= settings().delay_warning.count();
    if (warn) stored.warned = delay_notice(message, extra);
    if (stored.pending() == 0 && told) {
        log::info_as(qmgr, "{}: removed", stored.id);
        bool durable = !extra.empty() || message.durable_results;
        record_with({}, std::move(extra), durable, &stored);
        let_go(message);
        return;
    }
    try_later(message, std::move(extra));
}

// As Postfix: the older a message, the longer it waits; at least minimal_backoff_time, at most maximal_backoff_time.
void QueueManager::try_later(ActiveMessage& message, std::vector<Store::Extra> extra) {
    StoredMessage& stored = message.stored;
    const int64_t at = static_cast<int64_t>(now());
    const int64_t age = at - stored.queued_seconds;
    int64_t wait = std::clamp<int64_t>(age, settings().minimal_backoff.count(), settings().maximal_backoff.count());
    stored.next_attempt = at + wait;
    ++stored.attempts;
    if (message.then == ActiveMessage::Then::kHold) stored.hold = true;
    OpSchedule schedule;
    schedule.id = stored.id;
    schedule.next_attempt = stored.next_attempt;
    schedule.attempts = stored.attempts;
    schedule.hold = stored.hold;
    schedule.warned = stored.warned;
    schedule.expire = stored.expire;
    std::vector<Op> ops = std::move(message.unsaved);
    ops.emplace_back(std::move(schedule));
    record_with(std::move(ops), std::move(extra), message.durable_results, nullptr);
    bool again = message.then == ActiveMessage::Then::kRequeue;
    std::string id = stored.id;
    store_.put_back(stored);
    let_go(message);
    if (again) requeue(id);
    work();
}

}   // namespace postcot::queued
