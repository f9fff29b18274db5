// What changes a folder: flags, removal, arrival; and what is learned of its messages on the way.
#include <algorithm>
#include <cerrno>

#include "libmaildir/filename.h"
#include "libmaildir/folder.h"
#include "libmaildir/sidefiles.h"
#include "libproto/mime/header.h"

namespace postcot::maildir {

uint32_t Folder::known_keyword_bits(const std::vector<std::string>& names) const {
    uint32_t bits = 0;
    for (const std::string& name : names)
        for (size_t i = 0; i < keywords_.size(); ++i)
            if (mime::iequals(keywords_[i], name)) bits |= 1U << i;
    return bits;
}

Expected<uint32_t> Folder::keyword_bits(const std::vector<std::string>& names) {
    if (names.empty()) return 0U;
    read_keywords_file();
    auto all_known = [&] {
        return std::all_of(names.begin(), names.end(),
                           [&](const std::string& n) { return known_keyword_bits({n}) != 0; });
    };
    if (!all_known()) {
        auto keywords = add_keywords(files_, keywords_path_, names);
        if (!keywords) return fail(keywords.error());
        keywords_ = std::move(*keywords);
        if (auto status = files_.stat(keywords_path_)) keywords_mark_ = FileMark::of(*status);
    }
    return known_keyword_bits(names);
}

Expected<std::vector<uint32_t>> Folder::set_flags(const std::vector<uint32_t>& uids,
                                                  const std::function<std::optional<FlagSet>(const Entry&)>& decide) {
    flush_cache();
    auto held = lock_and_refresh();
    if (!held) return fail(held.error());
    uint64_t modseq = next_modseq();
    std::vector<uint32_t> changed, missing, gone;
    std::string from, to;
    auto apply = [&](uint32_t uid, size_t hint) -> Expected<bool> {   // false: its file is not where it was
        size_t at = hint < entries_.size() && entries_[hint].uid == uid ? hint : position(uid);
        if (at >= entries_.size() || entries_[at].uid != uid) return false;
        Entry& entry = entries_[at];
        auto flags = decide(entry);
        if (!flags || (*flags == entry.flags() && !entry.in_new)) return true;
        std::string name = with_flags(name_of(entry), *flags);
        from.assign(entry.in_new ? new_ : cur_);
        from += '/';
        from += name_of(entry);
        to.assign(cur_);
        to += '/';
        to += name;
        if (auto renamed = files_.rename(from, to); !renamed) {
            if (renamed.error().code == ENOENT) return false;
            return fail(renamed.error());
        }
        add_name(entry, name);
        entry.in_new = 0;
        if (*flags != entry.flags()) entry.modseq = modseq;
        entry.system = flags->system;
        entry.keywords = flags->keywords;
        changed.push_back(uid);
        return true;
    };
    Expected<void> trouble;
    size_t hint = uids.empty() ? 0 : position(uids.front());
    for (uint32_t uid : uids) {
        auto done = apply(uid, hint++);
        if (!done) {
            trouble = fail(done.error());   // what was renamed must still be remembered
            break;
        }
        if (!*done) missing.push_back(uid);
    }
    if (!missing.empty() && trouble) {   // renamed or removed by someone who does not know our lock
        if (auto marks = look()) {
            record_.racy = 1;
            (void)scan(*marks, false);
        }
        for (uint32_t uid : missing) {
            auto done = apply(uid, SIZE_MAX);
            if (!done || !*done) gone.push_back(uid);
        }
    }
    if (!changed.empty()) {
        record_.highest_modseq = std::max(record_.highest_modseq, modseq);
        own_change();
        count();
        std::sort(changed.begin(), changed.end());
        save(changed, {}, false);
        ++version_;
        compact_names();
    }
    if (!trouble) return fail(trouble.error());
    return gone;
}

Expected<uint32_t> Folder::remove(const std::vector<uint32_t>& uids, const std::function<bool(const Entry&)>& decide) {
    flush_cache();
    auto held = lock_and_refresh();
    if (!held) return fail(held.error());
    std::vector<uint32_t> gone;
    Expected<void> trouble;
    for (uint32_t uid : uids) {
        Entry* entry = find(uid);
        if (!entry || !decide(*entry)) continue;
        auto removed = files_.unlink(path_of(*entry));
        if (!removed && removed.error().code == ENOENT)
            continue;   // renamed just now: its flags may have changed; the next expunge sees
        if (!removed) {
            trouble = fail(removed.error());
            break;
        }
        gone.push_back(uid);
    }
    if (!gone.empty()) {
        std::sort(gone.begin(), gone.end());
        std::erase_if(entries_, [&](const Entry& e) { return std::binary_search(gone.begin(), gone.end(), e.uid); });
        record_.highest_modseq = next_modseq();
        own_change();
        count();
        save({}, gone, false);
        ++version_;
    }
    if (!trouble) return fail(trouble.error());
    return static_cast<uint32_t>(gone.size());
}

Expected<void> Folder::forget(const std::vector<uint32_t>& uids) {
    flush_cache();
    auto held = lock();
    if (!held) return fail(held.error());
    reload_if_newer();
    std::vector<uint32_t> gone(uids);
    std::sort(gone.begin(), gone.end());
    std::erase_if(gone, [&](uint32_t uid) { return find(uid) == nullptr; });
    std::erase_if(entries_, [&](const Entry& e) { return std::binary_search(gone.begin(), gone.end(), e.uid); });
    if (gone.empty()) return {};
    record_.highest_modseq = next_modseq();
    own_change();
    count();
    save({}, gone, false);
    ++version_;
    return {};
}

Expected<std::vector<Uid>> Folder::add(const std::vector<Incoming>& incoming,
                                       const std::function<Expected<void>(size_t, const std::string&)>& place) {
    std::vector<Uid> uids;
    if (incoming.empty()) return uids;
    auto held = lock();
    if (!held) return fail(held.error());
    if (!*held) return fail(EACCES, "NOPERM", "Permission denied");
    // What is known of the folder decides what can be kept up to date: the loaded entries, the index's record alone, or neither (the next refresh lists it).
    reload_if_newer();
    auto marks = look();
    if (!marks) return fail(ENOENT, "TRYCREATE", "Mailbox doesn't exist");
    bool known = loaded_ && same(*marks);
    bool blind = false;
    if (!loaded_ && index_) {
        if (auto stored = index_->folder(paths_.directory)) {
            std::swap(record_, *stored);
            known = blind = record_.uid_validity != 0 && same(*marks);
            if (!blind) std::swap(record_, *stored);
        }
    }
    bool uidlist_known = record_.uid_validity != 0 && (loaded_ || blind) && marks->uidlist == record_.uidlist;
    uint32_t next = record_.next_uid;
    if (!uidlist_known) {
        auto list = UidList::load(files_, uidlist_path_);
        if (!list) return fail(list.error());
        if (!list->exists || list->damaged) {   // made, or made whole, by a scan
            auto scanned = scan(*marks, false);
            if (!scanned) return fail(scanned.error());
            if (!complete_) return fail_errno(ENOSPC, uidlist_path_);
            known = true;
            blind = false;
            next = record_.next_uid;
            marks = look();
            if (!marks) return fail(marks.error());
        } else {
            next = std::max(list->next_uid, loaded_ ? record_.next_uid : 1);
            if (record_.uid_validity == 0) record_.uid_validity = list->uid_validity;
            known = known && record_.uid_validity == list->uid_validity;
        }
    }
    if (UINT32_MAX - next <= incoming.size()) return fail(EOVERFLOW, "LIMIT", "no UIDs left in this mailbox");
    std::vector<NewUid> lines;
    for (size_t i = 0; i < incoming.size(); ++i) {
        lines.push_back({next + static_cast<uint32_t>(i), incoming[i].base});
        uids.push_back(Uid{next + static_cast<uint32_t>(i)});
    }
    auto mark = append_uids(files_, uidlist_path_, lines);
    if (!mark) return fail(mark.error());
    std::vector<std::string> names;
    for (size_t i = 0; i < incoming.size(); ++i) {
        names.push_back(with_flags(incoming[i].base, incoming[i].flags));
        auto placed = place(i, cur_ + "/" + names.back());
        if (!placed) {   // all or none
            for (size_t k = 0; k < i; ++k) (void)files_.unlink(cur_ + "/" + names[k]);
            return fail(placed.error());
        }
    }
    if (auto synced = files_.sync_dir(cur_); !synced) {
        for (const std::string& name : names) (void)files_.unlink(cur_ + "/" + name);
        return fail(synced.error());
    }
    if (!known) {
        if (!loaded_) {   // nothing was loaded: keep nothing but what the caller asks next
            uint32_t validity = record_.uid_validity;
            record_ = FolderRecord{};
            record_.uid_validity = validity;
        }
        return uids;
    }
    record_.next_uid = next + static_cast<uint32_t>(incoming.size());
    record_.uidlist = *mark;
    uint64_t modseq = next_modseq();
    record_.highest_modseq = modseq;
    own_change();
    std::vector<Entry> added;
    std::vector<uint32_t> changed;
    for (size_t i = 0; i < incoming.size(); ++i) {
        Entry entry;
        entry.uid = uids[i].value;
        entry.modseq = modseq;
        entry.system = incoming[i].flags.system;
        entry.keywords = incoming[i].flags.keywords;
        entry.size = size_field(incoming[i].base, 'W').value_or(UINT64_MAX);
        add_name(entry, names[i]);
        if (!blind) entries_.push_back(entry);
        added.push_back(entry);
        changed.push_back(entry.uid);
    }
    if (!blind) {
        count();
        save(changed, {}, false);
        ++version_;
        return uids;
    }
    // Straight into the index: a hundred thousand messages need not be loaded to add one.
    Index::Write write(*index_);
    for (const Entry& entry : added) {
        ++record_.messages;
        if (!(entry.system & kSeen)) ++record_.unseen;
        if (entry.system & kDeleted) ++record_.deleted;
        ++record_.recent;
        MailRecord mail;
        mail.modseq = entry.modseq;
        mail.size = entry.size;
        mail.keywords = entry.keywords;
        mail.system = entry.system;
        write.put_mail(record_.id, entry.uid, mail, name_of(entry));
    }
    ++record_.generation;
    write.put_folder(paths_.directory, record_);
    if (!write.commit()) index_.reset();
    names_.clear();
    uint32_t validity = record_.uid_validity;
    record_ = FolderRecord{};
    record_.uid_validity = validity;
    return uids;
}

void Folder::learned(Entry& entry, uint64_t size, int64_t date) {
    if (entry.size == size && entry.date == date) return;
    entry.size = size;
    entry.date = date;
    learned_.push_back(entry.uid);
}

void Folder::cache(uint32_t uid, std::string head, std::string wire) {
    pending_bytes_ += head.size() + wire.size();
    pending_at_[uid] = pending_.size();
    pending_.push_back({uid, std::move(head), std::move(wire)});
    if (pending_.size() >= 4096 || pending_bytes_ > (8U << 20)) flush_cache();
}

bool Folder::cached(Index::Db db, uint32_t uid, std::string& out) {
    if (!pending_.empty() && (db == Index::kHead || db == Index::kWire)) {
        if (auto it = pending_at_.find(uid); it != pending_at_.end()) {
            const Pending& p = pending_[it->second];
            out = db == Index::kHead ? p.head : p.wire;
            return true;
        }
    }
    return index_ && record_.id != 0 && index_->get(db, record_.id, uid, out);
}

void Folder::cache_preview(uint32_t uid, std::string_view text) {
    if (!index_ || record_.id == 0) return;
    Index::Write write(*index_);
    write.put(Index::kPreview, record_.id, uid, text);
    (void)write.commit();
}

void Folder::flush_cache() {
    if (pending_.empty() && learned_.empty()) return;
    if (index_) {
        Index::Write write(*index_);
        auto stored = write.folder(paths_.directory);
        // Not loaded: what was just appended, in a folder that only its record is known of.
        if (stored && stored->uid_validity == record_.uid_validity && (!loaded_ || stored->id == record_.id)) {
            std::sort(pending_.begin(), pending_.end(),
                      [](const Pending& a, const Pending& b) { return a.uid < b.uid; });
            for (const Pending& p : pending_) {
                if (loaded_ && !find(p.uid)) continue;
                write.put(Index::kHead, stored->id, p.uid, p.head);
                write.put(Index::kWire, stored->id, p.uid, p.wire);
            }
            if (stored->generation == record_.generation) {   // else our flags may be older than what is there
                std::sort(learned_.begin(), learned_.end());
                for (uint32_t uid : learned_) {
                    const Entry* entry = find(uid);
                    if (!entry) continue;
                    MailRecord mail;
                    mail.modseq = entry->modseq;
                    mail.size = entry->size;
                    mail.date = entry->date;
                    mail.keywords = entry->keywords;
                    mail.system = entry->system;
                    mail.in_new = entry->in_new;
                    write.put_mail(record_.id, uid, mail, name_of(*entry));
                }
            }
            (void)write.commit();
        }
    }
    pending_.clear();
    pending_at_.clear();
    pending_bytes_ = 0;
    learned_.clear();
}

Expected<std::string> Folder::locate_again(uint32_t uid) {
    auto held = lock_and_refresh();
    if (!held) return fail(held.error());
    const Entry* entry = find(uid);
    if (entry && files_.exists(path_of(*entry))) return path_of(*entry);
    if (entry) {   // renamed without the directory's time showing it
        auto marks = look();
        if (!marks) return fail(marks.error());
        auto scanned = scan(*marks, false);
        if (!scanned) return fail(scanned.error());
        entry = find(uid);
        if (entry && files_.exists(path_of(*entry))) return path_of(*entry);
    }
    return fail(ENOENT, "EXPUNGEISSUED", "Some of the requested messages no longer exist");
}

}   // namespace postcot::maildir
