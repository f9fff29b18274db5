#include <sys/statvfs.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

#include "libproto/runtime/log.h"
#include "libproto/smtp/path.h"
#include "libproto/smtp/queue_id.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

namespace {

constexpr size_t kHeadCache = 64 << 20;       // octets of message text kept in memory for the first delivery
constexpr size_t kHeaderPrefix = 256 << 10;   // of a large message: where its header must end for cleanup to change it

}   // namespace

double QueueManager::now() const {
    timeval tv{};
    gettimeofday(&tv, nullptr);
    return static_cast<double>(tv.tv_sec) + static_cast<double>(tv.tv_usec) * 1e-6;
}

std::string QueueManager::new_queue_id() {
    timeval tv{};
    gettimeofday(&tv, nullptr);
    smtp::QueueTime time{tv.tv_sec, static_cast<uint32_t>(tv.tv_usec)};
    return smtp::compose_queue_id(settings().long_queue_ids, time, store_.take_numbers(1));
}

uint64_t QueueManager::free_space() {
    const double at = now();
    if (at >= next_space_check_) {
        struct statvfs fs {};
        free_space_ = statvfs(settings().queue_directory.c_str(), &fs) == 0 ? fs.f_bavail * fs.f_frsize : UINT64_MAX;
        next_space_check_ = at + 1;
    }
    return free_space_;
}

// As Postfix: without queue_minfree, room for one and a half of the largest message.
uint64_t QueueManager::wanted_space() const {
    const Settings& s = settings();
    return s.minimum_free > 0 ? s.minimum_free : s.message_size_limit + s.message_size_limit / 2;
}

Expected<void> QueueManager::check_space(uint64_t size) {
    const Settings& s = settings();
    if (s.message_size_limit > 0 && size > s.message_size_limit)
        return fail(552, "5.3.4", "Message size exceeds fixed limit");
    const uint64_t room = free_space(), wanted = wanted_space();
    if (room < wanted || room - wanted < size) {
        log::warning_as(s.syslog_name + "/smtpd", "not enough free space in mail queue: {} bytes < {} bytes", room,
                        wanted + size);
        return fail(452, "4.3.1", "Insufficient system storage");
    }
    return {};
}

// What becomes of a message because of a filter that is configured and not served.
Expected<void> QueueManager::filter(CleanupInput& input, const Cleanup& cleanup) const {
    ipc::Envelope& envelope = input.envelope;
    if (input.internal && !input.internal_filtered) return {};
    const auto missing = cleanup.missing_filter(envelope);
    const auto& id = input.queue_id;
    switch (missing.outcome) {
        case config::Unfiltered::kPass: return {};
        case config::Unfiltered::kReject:
            log::warning_as(cleanup.ident(), "{}: {} ({}) is not served: rejected", id, missing.parameter,
                            missing.filter);
            return fail(550, "5.5.0", "Service unavailable");
        case config::Unfiltered::kHold:
            log::warning_as(cleanup.ident(), "{}: {} ({}) is not served: put on hold", id, missing.parameter,
                            missing.filter);
            envelope.hold = true;
            return {};
        case config::Unfiltered::kDefer:
        case config::Unfiltered::kMisconfigured: break;
    }
    log::warning_as(cleanup.ident(), "{}: {}", id, missing.reason());
    // A client keeps its mail; what is here already waits in the queue, where postqueue shows why.
    if (!envelope.local_submission) return fail(451, "4.7.1", "Service unavailable - try again later");
    envelope.unfiltered = true;
    return {};
}

Expected<Store::Extra> QueueManager::prepare(Submission& submission) {
    const std::string id = submission.input.queue_id;
    std::string prefix;
    uint64_t large_size = 0;
    if (submission.is_large()) {
        auto size = submission.large->size();
        if (!size) return fail(451, "4.3.0", "Error: queue file write error");
        large_size = *size;
        prefix.resize(static_cast<size_t>(std::min<uint64_t>(large_size, kHeaderPrefix)));
        size_t have = 0;
        while (have < prefix.size()) {
            auto n = submission.large->read_at(prefix.data() + have, prefix.size() - have, have);
            if (!n || *n == 0) return fail(451, "4.3.0", "Error: queue file write error");
            have += *n;
        }
        submission.input.text = prefix;
    } else {
        submission.input.text = submission.text;
    }
    uint64_t size = submission.is_large() ? large_size : submission.text.size();
    const Cleanup* cleanup = config_->cleanup(submission.input.envelope.cleanup_service);
    if (!cleanup) {
        log::warning("cleanup_service_name: no service {} in master.cf: mail waits",
                     submission.input.envelope.cleanup_service);
        return fail(451, "4.3.0", "Error: queue file write error");
    }
    const uint64_t limit = cleanup->message_size_limit();
    const bool bounce_refused = submission.input.bounce_refused;
    bool too_large =
        !submission.input.internal && limit > 0 && size > limit + 65536;   // header fields of ours come on top
    if (too_large && !bounce_refused) return fail(552, "5.3.4", "Message size exceeds fixed limit");
    auto filtered = filter(submission.input, *cleanup);
    if (!filtered && (filtered.error().code < 500 || !bounce_refused)) return fail(filtered.error());
    auto cleaned = cleanup->run(std::move(submission.input));
    if (!cleaned) return fail(cleaned.error());
    if (!filtered) cleaned->refused = filtered.error();
    if (too_large) cleaned->refused = Error{552, "5.3.4", "message file too big"};

    Store::Extra out;
    StoredMessage& message = out.message;
    message.id = id;
    message.envelope = std::move(cleaned->envelope);
    message.states.resize(message.envelope.recipients.size());
    // As Postfix's cleanup: it is in the queue for as long as it takes to tell its sender.
    if (cleaned->refused.code != 0) {
        for (auto& state : message.states) {
            state.status = RecipientStatus::kBounced;
            state.result.dsn = cleaned->refused.enhanced;
            state.result.text = cleaned->refused.text;
        }
    }
    if (message.envelope.arrival_seconds == 0) {
        timeval tv{};
        gettimeofday(&tv, nullptr);
        message.envelope.arrival_seconds = tv.tv_sec;
        message.envelope.arrival_microseconds = static_cast<uint32_t>(tv.tv_usec);
    }
    message.queued_seconds = static_cast<int64_t>(now());
    message.next_attempt = message.queued_seconds;
    message.hold = message.envelope.hold;
    if (submission.is_large()) {
        message.large = true;
        message.large_offset = cleaned->replaced;
        message.large_length = large_size - cleaned->replaced;
        out.text = std::move(cleaned->header);
        out.files.push_back(submission.large);
    } else if (cleaned->changed) {
        out.text = std::move(cleaned->header);
        out.text.append(submission.text, cleaned->replaced, std::string::npos);
    } else {
        out.text = std::move(submission.text);
    }
    log::info_as(cleanup->ident(), "{}: message-id={}", id, cleaned->message_id.empty() ? "<>" : cleaned->message_id);
    return out;
}

bool QueueManager::reserve(const std::string& id) {
    if (active_.count(id) || arriving_.count(id) || store_.exists(id)) return false;
    arriving_[id] = true;
    return true;
}

void QueueManager::ready(StoredMessage message) {
    adopted_.erase(message.id);
    arriving_.erase(message.id);
    if (!message.hold) more_due_ = true;
    store_.put_back(message);
    work();
}

void QueueManager::accept(Submission submission, Accepted done) {
    const std::string id = submission.input.queue_id;
    auto refuse = [&](Error error) {
        if (submission.is_large()) store_.abort_large(id);
        done(fail(std::move(error)));
    };
    if (stopping_) return refuse(Error{421, "4.3.2", "Service is shutting down"});
    if (!smtp::is_queue_id(id) || active_.count(id) || arriving_.count(id) || store_.exists(id)) {
        log::error("queue id {} is not usable", id);
        return refuse(Error{451, "4.3.0", "Error: queue file write error"});
    }
    auto prepared = prepare(submission);
    if (!prepared) return refuse(prepared.error());
    arriving_[id] = true;
    auto head = std::make_shared<const std::string>(std::move(prepared->text));
    auto finish = [this, id, head, done = std::move(done)](Expected<StoredMessage> message) {
        arriving_.erase(id);
        if (!message) {
            bool full = message.error().code == ENOSPC || message.error().code == EDQUOT;
            log::error("{}: queue file write error: {}", id, message.error().text);
            done(full ? Expected<std::string>(fail(452, "4.3.1", "Insufficient system storage"))
                      : Expected<std::string>(fail(451, "4.3.0", "Error: queue file write error")));
            return;
        }
        done(id);   // first: the client waits for this, the delivery for nobody
        admit(std::move(*message), head, false);
    };
    store_.accept(std::move(prepared->message), *head, std::move(prepared->files), std::move(finish));
}

void QueueManager::record_with(std::vector<Op> ops, std::vector<Store::Extra> extra, bool durable,
                               const StoredMessage* finished) {
    std::vector<std::shared_ptr<const std::string>> heads;
    for (auto& one : extra) heads.push_back(std::make_shared<const std::string>(one.text));
    std::function<void(Expected<std::vector<StoredMessage>>)> done;
    if (!extra.empty()) {
        done = [this, heads](Expected<std::vector<StoredMessage>> messages) { admit_all(std::move(messages), heads); };
    }
    store_.record(std::move(ops), std::move(extra), durable, std::move(done), finished);
}

void QueueManager::admit_all(Expected<std::vector<StoredMessage>> messages,
                             std::vector<std::shared_ptr<const std::string>> heads) {
    if (!messages) {
        log::error("queue journal: {}", messages.error().text);
        return;
    }
    for (size_t i = 0; i < messages->size(); ++i) admit(std::move((*messages)[i]), heads[i], false);
}

void QueueManager::admit(StoredMessage message, std::shared_ptr<const std::string> head, bool maybe_delivered) {
    size_t recipients = message.states.size();
    bool room = active_.size() < settings().active_limit &&
                (active_.empty() || active_recipients_ + recipients <= settings().active_recipient_limit);
    if (message.hold || stopping_ || passive_ || !room) {
        if (!message.hold) more_due_ = true;
        store_.put_back(message);
        work();
        return;
    }
    auto active = std::make_unique<ActiveMessage>();
    active->stored = std::move(message);
    active->maybe_delivered = maybe_delivered;
    active->entered = now();
    if (head && cached_heads_ + head->size() <= kHeadCache) {
        cached_heads_ += head->size();
        active->head = std::move(head);
    }
    ActiveMessage& m = *active;
    active_recipients_ += m.stored.states.size();
    active_[m.stored.id] = std::move(active);
    std::vector<uint32_t> pending;
    for (uint32_t i = 0; i < m.stored.states.size(); ++i) {
        if (m.stored.states[i].status == RecipientStatus::kPending) pending.push_back(i);
    }
    log::info_as(settings().qmgr_ident, "{}: from=<{}>, size={}, nrcpt={} (queue active)", m.stored.id,
                 smtp::to_external(m.stored.envelope.sender), m.stored.size(), pending.size());
    for (uint32_t i = 0; i < m.stored.states.size() && !maybe_delivered; ++i) {
        if (m.stored.states[i].status != RecipientStatus::kBounced) continue;   // refused by prepare()
        ipc::RecipientResult refused;
        refused.index = i;
        refused.dsn = m.stored.states[i].result.dsn;
        log_recipient(m, nullptr, refused, "bounced", m.stored.states[i].result.text,
                      settings().syslog_name + "/cleanup");
    }
    ++m.entries;   // keeps it alive while its parts are made
    assign(m, pending);
    --m.entries;
    finish_when_idle(m);
    work();
}

}   // namespace postcot::queued
