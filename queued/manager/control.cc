// What postqueue, postsuper, postcat, sendmail -q and ETRN ask for.
#include <algorithm>

#include "libproto/runtime/log.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

std::vector<QueueManager::Listed> QueueManager::list(const std::string& after, size_t limit) {
    if (store_.index_dirty()) flush_index();
    std::vector<Listed> out;
    std::string last;
    auto entries = store_.list(after, limit, &last);
    for (auto& entry : entries) {
        if (active_.count(entry.message.id)) continue;   // memory knows better
        char queue = entry.place == Index::Place::kHold ? 'h' : entry.message.attempts == 0 ? 'i' : 'd';
        out.push_back(Listed{std::move(entry.message), queue});
    }
    for (const auto& [id, message] : active_) {
        if (id <= after || (!last.empty() && id > last)) continue;
        out.push_back(Listed{message->stored, 'a'});
    }
    std::sort(out.begin(), out.end(), [](const Listed& a, const Listed& b) { return a.message.id < b.message.id; });
    return out;
}

std::optional<StoredMessage> QueueManager::find(const std::string& id) {
    auto found = active_.find(id);
    if (found != active_.end()) return found->second->stored;
    return store_.find(id);
}

Expected<std::string> QueueManager::read_text(const StoredMessage& message, uint64_t max) {
    auto head = store_.read_head(message);
    if (!head) return head;
    if (head->size() >= max || !message.large) return head->size() > max ? head->substr(0, max) : *head;
    auto file = store_.open_large(message);
    if (!file) return fail(file.error());
    uint64_t want = std::min<uint64_t>(max - head->size(), message.large_length);
    size_t at = head->size();
    head->resize(at + want);
    uint64_t offset = message.large_offset;
    while (at < head->size()) {
        auto n = (*file)->read_at(head->data() + at, head->size() - at, offset);
        if (!n) return fail(n.error());
        if (*n == 0) break;
        at += *n;
        offset += *n;
    }
    head->resize(at);
    return head;
}

bool QueueManager::remove(const std::string& id) {
    auto found = active_.find(id);
    if (found != active_.end()) {
        ActiveMessage& message = *found->second;
        message.then = ActiveMessage::Then::kRemove;
        message.entries -= scheduler_->withdraw(message).size();
        finish_when_idle(message);
        return true;
    }
    auto stored = store_.find(id);
    if (!stored) return false;
    store_.remove(*stored);
    work();
    return true;
}

bool QueueManager::hold(const std::string& id) {
    auto found = active_.find(id);
    if (found != active_.end()) {
        ActiveMessage& message = *found->second;
        message.then = ActiveMessage::Then::kHold;
        message.entries -= scheduler_->withdraw(message).size();
        finish_when_idle(message);
        return true;
    }
    auto stored = store_.find(id);
    if (!stored || stored->hold) return false;
    stored->hold = true;
    OpSchedule op{id, stored->next_attempt, stored->attempts, true, stored->warned, stored->expire};
    store_.record({op}, {}, false, nullptr);
    store_.put_back(*stored);
    work();
    return true;
}

bool QueueManager::release(const std::string& id) {
    auto stored = active_.count(id) ? std::nullopt : store_.find(id);
    if (!stored || !stored->hold) return false;
    stored->hold = false;
    stored->next_attempt = static_cast<int64_t>(now());
    OpSchedule op{id, stored->next_attempt, stored->attempts, false, stored->warned, stored->expire};
    store_.record({op}, {}, false, nullptr);
    store_.put_back(*stored);
    more_due_ = true;
    work();
    return true;
}

bool QueueManager::expire(const std::string& id) {
    auto found = active_.find(id);
    if (found != active_.end()) {
        found->second->stored.expire = true;   // this round's end returns it
        return true;
    }
    auto stored = store_.find(id);
    if (!stored) return false;
    stored->expire = true;
    if (!stored->hold) stored->next_attempt = static_cast<int64_t>(now());
    OpSchedule op{id, stored->next_attempt, stored->attempts, stored->hold, stored->warned, true};
    store_.record({op}, {}, false, nullptr);
    store_.put_back(*stored);
    more_due_ = true;
    work();
    return true;
}

// A new message with a new id of what is still to be delivered, through cleanup's maps once more.
bool QueueManager::requeue(const std::string& id) {
    auto found = active_.find(id);
    if (found != active_.end()) {
        ActiveMessage& message = *found->second;
        message.then = ActiveMessage::Then::kRequeue;
        message.entries -= scheduler_->withdraw(message).size();
        finish_when_idle(message);
        return true;
    }
    auto stored = store_.find(id);
    if (!stored) return false;
    Submission submission;
    auto& input = submission.input;
    input.queue_id = new_queue_id();
    input.envelope = stored->envelope;
    input.envelope.hold = false;
    if (!input.envelope.verify)
        input.envelope.filter = settings().content_filter;   // postsuper(1): as for new local mail
    input.envelope.local_submission = false;                 // its header is complete
    input.envelope.recipients.clear();
    std::vector<Recipient> kept;
    std::vector<RecipientState> kept_states;
    for (size_t i = 0; i < stored->states.size(); ++i) {
        if (stored->states[i].status != RecipientStatus::kPending) continue;
        Recipient recipient = stored->envelope.recipients[i];
        if (!stored->states[i].context.empty() || !stored->states[i].transport.empty()) {
            kept.push_back(recipient);
            kept_states.push_back(stored->states[i]);
            continue;
        }
        if (!recipient.original.empty()) recipient.address = recipient.original;
        recipient.original.clear();
        input.envelope.recipients.push_back(std::move(recipient));
    }
    if (input.envelope.recipients.empty()) return false;   // what agents named themselves has no other address
    auto head = store_.read_head(*stored);
    if (!head) return false;
    input.internal = true;
    input.received = "Received: by " + settings().hostname + " (" + settings().mail_name + ", requeued)\n\tid " +
                     input.queue_id + "; " + mail_date(static_cast<int64_t>(now()));
    submission.text = std::move(*head);
    std::string fresh = input.queue_id;
    if (stored->large) {
        if (!store_.link_large(id, fresh)) return false;
    }
    auto made = prepare(submission);
    if (!made) {
        if (stored->large) (void)store_.files().unlink(store_.large_path(fresh));
        log::warning("{}: requeue: {}", id, made.error().text);
        return false;
    }
    if (stored->large) {
        auto file = store_.open_large(*stored);
        if (!file) return false;
        made->files.push_back(std::move(*file));
        made->message.large = true;
        made->message.large_offset = stored->large_offset;
        made->message.large_length = stored->large_length;
    }
    made->message.queued_seconds = stored->queued_seconds;
    for (size_t i = 0; i < kept.size(); ++i) {
        made->message.envelope.recipients.push_back(kept[i]);
        made->message.states.push_back(kept_states[i]);
    }
    log::info_as(settings().syslog_name + "/postsuper", "{}: requeued", id);
    std::vector<Store::Extra> extra;
    extra.push_back(std::move(*made));
    record_with({}, std::move(extra), true, &*stored);
    work();
    return true;
}

bool QueueManager::flush_message(const std::string& id) {
    if (active_.count(id)) return true;
    scheduler_->revive_all();
    if (store_.make_due({id}, static_cast<int64_t>(now())) == 0) return false;
    more_due_ = true;
    work();
    return true;
}

size_t QueueManager::flush_all() {
    scheduler_->revive_all();
    size_t count = store_.make_all_due(static_cast<int64_t>(now()));
    more_due_ = true;
    work();
    return count;
}

Expected<void> QueueManager::flush_site(std::string site) {
    if (site.empty()) {
        flush_all();
        return {};
    }
    if (site.front() == '[' && site.back() == ']') site = site.substr(1, site.size() - 2);
    for (char& c : site) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    scheduler_->revive_all();
    auto ids = store_.site(site, 1000000);
    store_.make_due(ids, static_cast<int64_t>(now()));
    more_due_ = true;
    work();
    return {};
}

}   // namespace postcot::queued
