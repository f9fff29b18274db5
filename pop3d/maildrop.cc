#include "pop3d/maildrop.h"

#include <algorithm>
#include <numeric>

#include "libproto/pop3/uidl.h"

namespace postcot::pop3d {

Expected<std::unique_ptr<Maildrop>> Maildrop::open(const Settings& settings, maildir::StoreOptions options) {
    std::unique_ptr<Maildrop> drop(new Maildrop(settings));
    auto store = maildir::MailStore::open(std::move(options));
    if (!store) return fail(store.error());
    drop->store_ = std::move(*store);
    if (settings.lock_session) {
        auto lock = drop->store_->lock_pop3_session();
        if (!lock) return fail(lock.error());
        drop->lock_ = std::move(*lock);
    }
    auto inbox = drop->store_->select("INBOX", maildir::Access::kReadWrite);
    if (!inbox) return fail(inbox.error());
    drop->inbox_ = std::move(*inbox);
    uint32_t count = drop->inbox_->exists();
    drop->sizes_.reserve(count);
    for (uint32_t n = 1; n <= count; ++n) {
        auto size = drop->inbox_->at(maildir::SeqNum{n}).size();
        if (!size && size.error().code != ENOENT) return fail(size.error());
        drop->sizes_.push_back(size ? *size : 0);   // expunged just now: listed, and refused when asked for
    }
    drop->deleted_.assign(count, false);
    drop->retrieved_.assign(count, false);
    return drop;
}

uint64_t Maildrop::total_size() const { return std::accumulate(sizes_.begin(), sizes_.end(), uint64_t{0}); }

Expected<std::string> Maildrop::uidl(uint32_t number) {
    maildir::Message message = inbox_->at(maildir::SeqNum{number});
    auto kept = message.pop3_uidl();
    if (kept && !kept->empty()) return kept;   // from the server this mail came from: clients know it so
    pop3::UidlParts parts;
    parts.uid = message.uid().value;
    parts.uid_validity = inbox_->uid_validity();
    if (settings_.uidl_format.find('f') != std::string::npos || settings_.uidl_format.find('g') != std::string::npos)
        parts.guid = message.guid();
    return pop3::format_uidl(settings_.uidl_format, parts);
}

Expected<std::vector<std::string>> Maildrop::uidls() {
    std::vector<std::string> out;
    out.reserve(sizes_.size());
    for (uint32_t n = 1; n <= count(); ++n) {
        auto one = uidl(n);
        if (!one) return fail(one.error());
        out.push_back(std::move(*one));
    }
    return out;
}

Expected<std::unique_ptr<maildir::Content>> Maildrop::content(uint32_t number) {
    return inbox_->at(maildir::SeqNum{number}).open();
}

void Maildrop::reset() {
    std::fill(deleted_.begin(), deleted_.end(), false);
    std::fill(retrieved_.begin(), retrieved_.end(), false);   // Dovecot: RSET forgets \Seen too
}

uint32_t Maildrop::deletions() const {
    return static_cast<uint32_t>(std::count(deleted_.begin(), deleted_.end(), true));
}

Expected<void> Maildrop::update(bool expunge) {
    std::vector<maildir::SeqNum> doomed, seen;
    maildir::NumberSet uids;
    for (uint32_t n = 1; n <= count(); ++n) {
        maildir::SeqNum seq{n};
        if (expunge && deleted_[n - 1]) {
            doomed.push_back(seq);
            uint32_t uid = inbox_->uid_of(seq).value;
            if (!uids.empty() && uids.back().last + 1 == uid) {
                uids.back().last = uid;
            } else {
                uids.push_back({uid, uid});
            }
        } else if (retrieved_[n - 1] && !inbox_->at(seq).flags().has(maildir::kSeen)) {
            seen.push_back(seq);
        }
    }
    if (settings_.flag_updates && !seen.empty()) {
        maildir::StoreChange change;
        change.system = maildir::kSeen;
        auto stored = inbox_->store(seen, change);
        if (!stored) return fail(stored.error());
    }
    if (doomed.empty()) return {};
    maildir::StoreChange change;
    change.system = maildir::kDeleted;
    auto stored = inbox_->store(doomed, change);
    if (!stored) return fail(stored.error());
    auto expunged = inbox_->expunge(&uids);
    if (!expunged) return fail(expunged.error());
    return {};
}

}   // namespace postcot::pop3d
