// bounce(8): who is told what became of a message. The texts are bounce/compose.h's.
#include <algorithm>

#include "libproto/runtime/log.h"
#include "libproto/smtp/path.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

bool QueueManager::wants(const Recipient& recipient, uint8_t event) {
    if (recipient.notify == 0)
        return event != ipc::kNotifySuccess;   // RFC 3461 §4.1: failure, and at our discretion delay
    return (recipient.notify & event) != 0;
}

bool QueueManager::Notices::add(DsnKind kind, const std::vector<uint32_t>& indexes, const std::string& from,
                                const std::string& to, bool postmaster_copy, const char* what) {
    auto made = manager_.compose_notice(about_, kind, indexes, from, to, postmaster_copy);
    if (!made) {
        log::warning_as(manager_.settings().bounce_ident,
                        "{}: cannot make a notification to <{}>: {}: it is tried again", about_.stored.id, to,
                        made.error().text);
        return false;
    }
    made_.push_back({std::move(*made), what});
    return true;
}

void QueueManager::Notices::commit(std::vector<Store::Extra>& out) {
    for (auto& one : made_) {
        log::info_as(manager_.settings().bounce_ident, "{}: {}: {}", about_.stored.id, one.what, one.extra.message.id);
        out.push_back(std::move(one.extra));
    }
    made_.clear();
}

std::string QueueManager::double_bounce_sender() const {
    return settings().double_bounce_sender + "@" + config_->dsn.myorigin;
}

Expected<Store::Extra> QueueManager::compose_notice(const ActiveMessage& about, DsnKind kind,
                                                    const std::vector<uint32_t>& indexes, const std::string& from,
                                                    const std::string& to, bool postmaster_copy) {
    const StoredMessage& stored = about.stored;
    Submission submission;
    auto& input = submission.input;
    input.queue_id = new_queue_id();
    const double exactly = now();
    int64_t at = static_cast<int64_t>(exactly);

    DsnInput dsn;
    dsn.kind = kind;
    dsn.postmaster_copy = postmaster_copy;
    dsn.dsn_queue_id = input.queue_id;
    dsn.now_seconds = at;
    dsn.to = to;
    dsn.queue_id = stored.id;
    dsn.sender = stored.envelope.sender;
    dsn.envid = stored.envelope.envid;
    dsn.ret = stored.envelope.ret;
    dsn.smtputf8 = stored.envelope.smtputf8;
    dsn.arrival_seconds = stored.envelope.arrival_seconds;
    if (kind == DsnKind::kDelay) dsn.retry_until_seconds = stored.queued_seconds + settings().maximal_lifetime.count();
    for (uint32_t i : indexes) {
        const Recipient& recipient = stored.envelope.recipients[i];
        const StoredResult& result = stored.states[i].result;
        DsnRecipient one;
        one.address = result.final_recipient.empty() ? recipient.address : result.final_recipient;
        one.original = recipient.original;
        one.orcpt = recipient.orcpt;
        one.action = kind == DsnKind::kFailure ? "failed"
                     : kind == DsnKind::kDelay ? "delayed"
                     : result.action == 1      ? "relayed"
                     : result.action == 2      ? "expanded"
                     : result.action == 3      ? "deliverable"
                     : result.action == 4      ? "undeliverable"
                                               : "delivered";
        one.status = result.dsn;
        one.text = result.text;
        // As Postfix's trace(8): who took it, or would.
        if ((kind == DsnKind::kSuccess || kind == DsnKind::kVerify) && !result.relay.empty() && result.relay != "none")
            one.text = "delivery via " + result.relay + ": " + one.text;
        one.remote_mta = result.remote_mta;
        one.diagnostic = result.diagnostic;
        dsn.recipients.push_back(std::move(one));
    }
    uint64_t limit = settings().bounce_size_limit;
    auto original = read_text(stored, std::max<uint64_t>(limit, 64 << 10));
    std::string text = original ? std::move(*original) : std::string();
    dsn.original = text;
    dsn.original_size = stored.size();
    dsn.bounce_size_limit = limit;
    submission.text = compose_dsn(dsn, config_->templates, config_->dsn);

    input.envelope.sender = from;
    input.envelope.local_submission = true;   // From: MAILER-DAEMON gets its domain
    input.envelope.smtputf8 = stored.envelope.smtputf8;
    input.envelope.arrival_seconds = at;
    input.envelope.arrival_microseconds = static_cast<uint32_t>((exactly - static_cast<double>(at)) * 1e6);
    Recipient recipient;
    recipient.address = to;
    recipient.notify = ipc::kNotifyNever;
    input.envelope.recipients.push_back(std::move(recipient));
    input.received = "Received: by " + settings().hostname + " (" + settings().mail_name + ")\n\tid " + input.queue_id +
                     "; " + mail_date(at);
    input.internal = true;
    input.internal_filtered = settings().internal_filter_classes.count(postmaster_copy ? "notify" : "bounce") > 0;
    return prepare(submission);
}

// False: one of them could not be made (a table cannot be asked, the disk is full). Then none is, and their recipients stay until all can.
bool QueueManager::notices(ActiveMessage& message, std::vector<Store::Extra>& out) {
    StoredMessage& stored = message.stored;
    std::vector<uint32_t> failed, told, all_failed;
    for (uint32_t i = 0; i < stored.states.size(); ++i) {
        if (stored.states[i].status == RecipientStatus::kBounced && stored.envelope.verify) {   // postsuper -e
            stored.states[i].status = RecipientStatus::kSentNotify;
            stored.states[i].result.action = 4;
        }
        if (stored.states[i].status == RecipientStatus::kBounced) {
            all_failed.push_back(i);
            if (wants(stored.envelope.recipients[i], ipc::kNotifyFailure)) failed.push_back(i);
        }
        if (stored.states[i].status == RecipientStatus::kSentNotify) told.push_back(i);
    }
    if (all_failed.empty() && told.empty()) return true;
    const auto& s = settings();
    const std::string double_bounce = double_bounce_sender();
    const std::string& sender = stored.envelope.sender;
    const bool from_double_bounce = sender == double_bounce || sender == s.double_bounce_sender;
    Notices made(*this, message);
    bool whole = true;
    auto tell = [&](auto&&... arguments) { whole = whole && made.add(arguments...); };
    if (!all_failed.empty()) {
        if (from_double_bounce) {
            log::warning_as(s.bounce_ident, "{}: undeliverable postmaster notification discarded", stored.id);
        } else if (sender.empty()) {
            if (s.notify_classes.count("2bounce")) {
                tell(DsnKind::kFailure, all_failed, double_bounce, s.twobounce_notice_recipient, true,
                     "postmaster non-delivery notification");
            }
        } else {
            if (!failed.empty()) {
                tell(DsnKind::kFailure, failed, "", sender, false, "sender non-delivery notification");
            }
            if (s.notify_classes.count("bounce")) {
                tell(DsnKind::kFailure, all_failed, double_bounce, s.bounce_notice_recipient, true,
                     "postmaster non-delivery notification");
            }
        }
    }
    if (!told.empty() && !sender.empty() && !from_double_bounce) {
        const auto kind = stored.envelope.verify ? DsnKind::kVerify : DsnKind::kSuccess;
        tell(kind, told, "", sender, false, "sender delivery status notification");
    }
    if (!whole) return false;
    made.commit(out);
    for (uint32_t i : all_failed) {
        RecipientState state = stored.states[i];
        state.status = RecipientStatus::kDone;
        set_state(message, i, std::move(state));
    }
    for (uint32_t i : told) {
        RecipientState state;
        state.status = RecipientStatus::kDone;
        set_state(message, i, std::move(state));
    }
    return true;
}

// False: as above.
bool QueueManager::delay_notice(ActiveMessage& message, std::vector<Store::Extra>& out) {
    const StoredMessage& stored = message.stored;
    const auto& s = settings();
    const std::string double_bounce = double_bounce_sender();
    if (stored.envelope.sender.empty() || stored.envelope.sender == double_bounce) return true;
    std::vector<uint32_t> late, all;
    for (uint32_t i = 0; i < stored.states.size(); ++i) {
        if (stored.states[i].status != RecipientStatus::kPending) continue;
        all.push_back(i);
        if (wants(stored.envelope.recipients[i], ipc::kNotifyDelay)) late.push_back(i);
    }
    Notices made(*this, message);
    const bool whole =
        (late.empty() ||
         made.add(DsnKind::kDelay, late, "", stored.envelope.sender, false, "sender delay notification")) &&
        (!s.notify_classes.count("delay") || made.add(DsnKind::kDelay, all, double_bounce, s.delay_notice_recipient,
                                                      true, "postmaster delay notification"));
    if (whole) made.commit(out);
    return whole;
}

}   // namespace postcot::queued
