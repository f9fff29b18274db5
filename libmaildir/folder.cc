#include "libmaildir/folder.h"

#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "libmaildir/filename.h"
#include "libmaildir/sidefiles.h"

namespace postcot::maildir {

namespace {

uint64_t clock_millis() {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
}

Error with_code(Error error, const char* response) {
    if (error.enhanced.empty()) error.enhanced = response;
    return error;
}

bool no_room(const Error& error) { return error.code == ENOSPC || error.code == EDQUOT; }

// Base name -> entry. Open addressing: a table of a hundred thousand names is built at every scan.
class NameTable {
  public:
    explicit NameTable(size_t count) {
        size_t size = 16;
        while (size < count * 2) size *= 2;
        slots_.assign(size, 0);
    }
    template <class NameAt>
    void insert(std::string_view base, uint32_t index, const NameAt&) {
        size_t at = std::hash<std::string_view>{}(base) & (slots_.size() - 1);
        while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
        slots_[at] = index + 1;
    }
    template <class NameAt>
    int64_t find(std::string_view base, const NameAt& name_at) const {
        size_t at = std::hash<std::string_view>{}(base) & (slots_.size() - 1);
        for (; slots_[at] != 0; at = (at + 1) & (slots_.size() - 1))
            if (base_of(name_at(slots_[at] - 1)) == base) return slots_[at] - 1;
        return -1;
    }

  private:
    std::vector<uint32_t> slots_;
};

}   // namespace

struct Found {
    std::string name;
    bool in_new;
    uint32_t uid;
};

struct Folder::Listing {
    std::vector<std::string> cur, fresh;
    static Expected<Listing> of(Files& files, const std::string& cur_path, const std::string& new_path) {
        Listing out;
        // new/ first: a message moved from new/ to cur/ meanwhile is then seen twice rather than not at all.
        auto fresh = files.list(new_path);
        if (!fresh) return fail(fresh.error());
        auto cur = files.list(cur_path);
        if (!cur) return fail(cur.error());
        out.cur = std::move(*cur);
        out.fresh = std::move(*fresh);
        return out;
    }
};

Folder::Folder(Files& files, FolderPaths paths, std::shared_ptr<Index> index)
    : files_(files),
      paths_(std::move(paths)),
      uidlist_path_(paths_.control + "/dovecot-uidlist"),
      keywords_path_(paths_.control + "/dovecot-keywords"),
      cur_(paths_.directory + "/cur"),
      new_(paths_.directory + "/new"),
      index_(std::move(index)) {}

Folder::~Folder() { flush_cache(); }

std::string Folder::path_of(const Entry& entry) const {
    std::string path = entry.in_new ? new_ : cur_;
    path += '/';
    path += name_of(entry);
    return path;
}

size_t Folder::position(uint32_t uid) const {
    auto it =
        std::lower_bound(entries_.begin(), entries_.end(), uid, [](const Entry& e, uint32_t u) { return e.uid < u; });
    return static_cast<size_t>(it - entries_.begin());
}

Entry* Folder::find(uint32_t uid) {
    size_t at = position(uid);
    return at < entries_.size() && entries_[at].uid == uid ? &entries_[at] : nullptr;
}

const std::string& Folder::guid() {
    if (guid_.empty()) {
        auto list = UidList::load(files_, uidlist_path_);
        if (list)
            for (size_t at = list->header_rest.find('G'); at != std::string::npos; at = std::string::npos)
                guid_ = list->header_rest.substr(at + 1, list->header_rest.find(' ', at) - at - 1);
    }
    return guid_;
}

void Folder::add_name(Entry& entry, std::string_view name) {
    if (name.size() > UINT16_MAX) name = name.substr(0, UINT16_MAX);   // longer than any file system's names
    entry.name = static_cast<uint32_t>(names_.size());
    entry.name_length = static_cast<uint16_t>(name.size());
    names_ += name;
}

void Folder::compact_names() {
    size_t used = 0;
    for (const Entry& entry : entries_) used += entry.name_length;
    if (names_.size() < used * 2 + 4096) return;
    std::string old = std::move(names_);
    names_.clear();
    names_.reserve(used + used / 4);
    for (Entry& entry : entries_) add_name(entry, std::string_view(old.data() + entry.name, entry.name_length));
}

Expected<Folder::Marks> Folder::look() const {
    Marks marks;
    auto cur = files_.stat(cur_);
    if (!cur) return fail(cur.error());
    auto fresh = files_.stat(new_);
    if (!fresh) return fail(fresh.error());
    marks.cur = DirMark::of(*cur);
    marks.fresh = DirMark::of(*fresh);
    if (auto uidlist = files_.stat(uidlist_path_)) marks.uidlist = FileMark::of(*uidlist);
    return marks;
}

bool Folder::same(const Marks& marks) const {
    if (record_.racy == 1 || (record_.racy == 2 && std::time(nullptr) - record_.cur.seconds > 2)) return false;
    return marks.cur == record_.cur && marks.fresh == record_.fresh && marks.uidlist == record_.uidlist;
}

// A change in the same tick of the file system's clock as the last scan would not show in the directory's time: such a scan is done again later. The tick is the
// kernel's (10 ms at most) where times have nanoseconds, and two seconds elsewhere (Dovecot's rule).
bool Folder::is_racy(const Marks& marks) const {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    auto close = [&](const DirMark& mark) {
        int64_t age = (now.tv_sec - mark.seconds) * 1000 + (now.tv_nsec - mark.nanoseconds) / 1000000;
        return age < (mark.nanoseconds != 0 ? 20 : 2000);
    };
    return close(marks.cur) || close(marks.fresh);
}

Expected<DotLock> Folder::lock() {
    auto held = DotLock::acquire(files_, uidlist_path_);
    if (!held) {
        int code = held.error().code;
        // A mailbox we may only read: nobody's UIDs are given, so nothing needs the lock.
        if (code == EACCES || code == EROFS || code == EPERM) return DotLock();
        return fail(with_code(held.error(), "SERVERBUG"));
    }
    return held;
}

bool Folder::reload_if_newer() {
    if (!index_) return false;
    auto stored = index_->folder(paths_.directory);
    if (!stored || stored->uid_validity == 0) return false;
    if (loaded_ && stored->id == record_.id && stored->generation == record_.generation) {
        if (stored->first_recent > record_.first_recent) {
            record_.first_recent = stored->first_recent;
            count();
        }
        return false;
    }
    std::vector<Entry> entries;
    entries.reserve(stored->messages);
    std::string names;
    names.reserve(static_cast<size_t>(stored->messages) * 40);
    bool good = index_->load(stored->id, [&](uint32_t uid, const MailRecord& mail, std::string_view name) {
        Entry e;
        e.uid = uid;
        e.keywords = mail.keywords;
        e.modseq = mail.modseq;
        e.size = mail.size;
        e.date = mail.date;
        e.system = mail.system;
        e.in_new = mail.in_new;
        e.name = static_cast<uint32_t>(names.size());
        e.name_length = static_cast<uint16_t>(name.size());
        names += name;
        entries.push_back(e);
    });
    if (!good || entries.size() != stored->messages) return false;   // a torn cache: scanned anew
    entries_ = std::move(entries);
    names_ = std::move(names);
    record_ = *stored;
    loaded_ = true;
    first_scan_ = false;
    ++version_;
    return true;
}

void Folder::read_keywords_file() {
    auto status = files_.stat(keywords_path_);
    FileMark mark = status ? FileMark::of(*status) : FileMark{};
    if (mark == keywords_mark_) return;
    if (auto keywords = read_keywords(files_, keywords_path_)) {
        keywords_ = std::move(*keywords);
        keywords_mark_ = mark;
    }
}

std::optional<FolderRecord> Folder::unchanged_record() {
    auto marks = look();
    if (!marks) return std::nullopt;
    if (loaded_) {
        if (same(*marks)) return record_;
        return std::nullopt;
    }
    if (!index_) return std::nullopt;
    auto stored = index_->folder(paths_.directory);
    if (!stored || stored->racy == 1 || stored->uid_validity == 0 || marks->cur != stored->cur ||
        marks->fresh != stored->fresh || marks->uidlist != stored->uidlist)
        return std::nullopt;
    return stored;
}

Expected<bool> Folder::refresh(bool move_new) {
    flush_cache();
    bool changed = reload_if_newer();
    read_keywords_file();
    auto in_new = [&] {
        if (!move_new) return false;
        return std::any_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.in_new != 0; });
    };
    auto marks = look();
    if (!marks) return fail(with_code(marks.error(), "NONEXISTENT"));
    if (loaded_ && same(*marks) && !in_new()) return changed;
    auto held = lock();
    if (!held) return fail(held.error());
    // Another session may have done it while we waited.
    changed = reload_if_newer() || changed;
    marks = look();
    if (!marks) return fail(marks.error());
    if (loaded_ && same(*marks) && !in_new()) return changed;
    auto scanned = scan(*marks, move_new && static_cast<bool>(*held));
    if (!scanned) return scanned;
    return changed || *scanned;
}

Expected<DotLock> Folder::lock_and_refresh() {
    auto held = lock();
    if (!held) return held;
    reload_if_newer();
    read_keywords_file();
    auto marks = look();
    if (!marks) return fail(with_code(marks.error(), "NONEXISTENT"));
    if (loaded_ && same(*marks)) return held;
    auto scanned = scan(*marks, false);
    if (!scanned) return fail(scanned.error());
    return held;
}

// We changed cur/ ourselves, under the lock, and know the result: the next refresh need not list it.
void Folder::own_change() {
    auto marks = look();
    if (!marks) return;
    if (record_.racy == 1 || marks->cur == record_.cur) return;
    record_.cur = marks->cur;
    record_.racy = 2;
}

Expected<bool> Folder::scan(const Marks& marks, bool move_new) {
    Marks seen_marks = marks;
    bool racy = is_racy(marks);
    auto listing = Listing::of(files_, cur_, new_);
    if (!listing) return fail(listing.error());
    auto name_at = [&](size_t i) { return name_of(entries_[i]); };
    NameTable table(entries_.size());
    for (size_t i = 0; i < entries_.size(); ++i) table.insert(base_of(name_at(i)), static_cast<uint32_t>(i), name_at);

    std::vector<uint8_t> seen(entries_.size(), 0);
    std::vector<Found> found;
    std::vector<uint32_t> changed_uids, gone;
    bool changed = false;
    uint64_t modseq = next_modseq();
    auto visit = [&](std::string& name, bool in_new, bool only_known) {
        if (name.empty() || name[0] == '.') return;
        int64_t at = table.find(base_of(name), name_at);
        if (at < 0) {
            if (!only_known) found.push_back({std::move(name), in_new, 0});
            return;
        }
        auto i = static_cast<size_t>(at);
        if (seen[i]) return;   // a second copy of the name, as after a crash between link and unlink: the first stands
        seen[i] = 1;
        Entry& entry = entries_[i];
        if (name == name_of(entry) && in_new == (entry.in_new != 0)) return;
        FlagSet flags = flags_of(name);
        bool flags_changed = flags != entry.flags();
        entry.in_new = in_new ? 1 : 0;
        add_name(entry, name);
        if (flags_changed) {
            entry.system = flags.system;
            entry.keywords = flags.keywords;
            entry.modseq = modseq;
            changed = true;
        }
        changed_uids.push_back(entry.uid);
    };
    for (std::string& name : listing->cur) visit(name, false, false);
    for (std::string& name : listing->fresh) visit(name, true, false);
    if (std::find(seen.begin(), seen.end(), 0) != seen.end()) {
        auto again = Listing::of(files_, cur_, new_);
        if (!again) return fail(again.error());
        for (std::string& name : again->cur) visit(name, false, true);
        for (std::string& name : again->fresh) visit(name, true, true);
        size_t kept = 0;
        for (size_t i = 0; i < entries_.size(); ++i) {
            if (seen[i]) {
                entries_[kept++] = entries_[i];
            } else {
                gone.push_back(entries_[i].uid);
            }
        }
        entries_.resize(kept);
    }
    // One name in both new/ and cur/ (moved between the two listings): the one in cur/ stands.
    if (!found.empty()) {
        std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
            std::string_view x = base_of(a.name), y = base_of(b.name);
            if (x == y) return !a.in_new && b.in_new;
            return delivered_before(x, y);
        });
        found.erase(std::unique(found.begin(), found.end(),
                                [](const Found& a, const Found& b) { return base_of(a.name) == base_of(b.name); }),
                    found.end());
    }

    bool everything = first_scan_;
    complete_ = true;
    bool uidlist_known = !first_scan_ && marks.uidlist == record_.uidlist && record_.uid_validity != 0;
    if (!found.empty() || !uidlist_known) {
        bool new_validity = false;
        auto given = give_uids(found, first_scan_, new_validity);
        if (!given) return fail(given.error());
        complete_ = *given;
        if (new_validity) everything = true;
    }
    uint32_t first_new_uid = record_.next_uid;
    bool appended_in_order = true;
    for (Found& f : found) {
        Entry entry;
        entry.uid = f.uid;
        entry.in_new = f.in_new ? 1 : 0;
        FlagSet flags = flags_of(f.name);
        entry.system = flags.system;
        entry.keywords = flags.keywords;
        entry.modseq = modseq;
        entry.size = size_field(base_of(f.name), 'W').value_or(UINT64_MAX);
        add_name(entry, f.name);
        if (!entries_.empty() && entries_.back().uid >= entry.uid) appended_in_order = false;
        entries_.push_back(entry);
        changed_uids.push_back(entry.uid);
        first_new_uid = std::min(first_new_uid, entry.uid);
    }
    if (!appended_in_order)
        std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.uid < b.uid; });
    if (first_scan_ && record_.first_recent <= 1) {
        // Rebuilt: which messages were \Recent is known only of those still in new/.
        record_.first_recent = record_.next_uid;
        for (const Entry& entry : entries_)
            if (entry.in_new) {
                record_.first_recent = entry.uid;
                break;
            }
    }

    bool moved = false;
    if (move_new) {
        for (Entry& entry : entries_) {
            if (!entry.in_new) continue;
            std::string name = with_flags(name_of(entry), flags_of(name_of(entry)));
            auto renamed = files_.rename(path_of(entry), cur_ + "/" + name);
            if (!renamed && renamed.error().code == ENOENT) continue;   // moved by another: the next scan sees it
            if (!renamed && no_room(renamed.error())) {                 // it can be read where it is
                complete_ = false;
                continue;
            }
            if (!renamed) return fail(renamed.error());
            entry.in_new = 0;
            add_name(entry, name);
            changed_uids.push_back(entry.uid);
            moved = true;
        }
    }
    changed = changed || !found.empty() || !gone.empty();
    if (changed || everything) record_.highest_modseq = std::max(record_.highest_modseq, modseq);
    if (first_scan_) record_.gone_floor = record_.highest_modseq;
    record_.cur = seen_marks.cur;
    record_.fresh = seen_marks.fresh;
    if (auto uidlist = files_.stat(uidlist_path_)) record_.uidlist = FileMark::of(*uidlist);
    record_.racy = (racy && !moved) || !complete_ ? 1 : 0;   // moving changed the directories' times anyway: they will be listed again
    loaded_ = true;
    first_scan_ = false;
    count();
    std::sort(changed_uids.begin(), changed_uids.end());
    changed_uids.erase(std::unique(changed_uids.begin(), changed_uids.end()), changed_uids.end());
    save(changed_uids, gone, everything);
    compact_names();
    if (changed || moved) ++version_;
    return changed;
}

// Under the lock. Finds the UID of every new name in dovecot-uidlist, or gives the next one and writes it there. False: there was no room to write, and who has
// no UID is left out of `found` until there is.
Expected<bool> Folder::give_uids(std::vector<Found>& found, bool first_time, bool& new_validity) {
    auto list = UidList::load(files_, uidlist_path_);
    if (!list) return fail(list.error());
    bool rewrite = list->damaged || !list->exists;
    if (!list->exists) {
        auto validity = next_uid_validity(files_, paths_.root);
        if (!validity) {
            int code = validity.error().code;
            if (code != EACCES && code != EROFS) return fail(validity.error());
            validity = static_cast<uint32_t>(std::time(nullptr));   // read-only: good for this session
        }
        list->uid_validity = *validity;
        list->next_uid = 1;
    }
    if (list->uid_validity != record_.uid_validity && record_.uid_validity != 0) {
        // Someone made the UIDs anew: nothing that was known by UID holds.
        for (const Entry& entry : entries_) found.push_back({std::string(name_of(entry)), entry.in_new != 0, 0});
        std::sort(found.begin(), found.end(),
                  [](const Found& a, const Found& b) { return delivered_before(a.name, b.name); });
        entries_.clear();
        record_.first_recent = 1;
        record_.next_uid = 1;
        first_time = true;
        new_validity = true;
    }
    uint32_t known_next = first_time ? 0 : record_.next_uid;
    uint32_t next = std::max(list->next_uid, first_time ? 1 : record_.next_uid);
    record_.uid_validity = list->uid_validity;

    std::vector<NewUid> added;
    const uint32_t first_added = next;
    if (!found.empty()) {
        NameTable table(list->records.size());
        auto name_at = [&](size_t i) { return list->records[i].name; };
        for (size_t i = list->records.size(); i-- > 0;)   // of two lines with one name, the later stands
            table.insert(list->records[i].name, static_cast<uint32_t>(i), name_at);
        for (Found& f : found) {
            int64_t at = table.find(base_of(f.name), name_at);
            if (at >= 0) f.uid = list->records[static_cast<size_t>(at)].uid;
            // Below what was already given and yet not among the messages: it was expunged and came back. RFC 3501 §2.3.1.1: a new UID.
            if (f.uid != 0 && f.uid < known_next) {
                list->records[static_cast<size_t>(at)].name = {};
                rewrite = true;
                f.uid = 0;
            }
        }
        for (Found& f : found) {
            if (f.uid != 0) continue;
            if (next == UINT32_MAX) return fail(EOVERFLOW, "LIMIT", "no UIDs left in this mailbox");
            f.uid = next++;
            added.push_back({f.uid, base_of(f.name)});
        }
        std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.uid < b.uid; });
    }
    // Lines of messages long gone: written anew when they are a quarter of the file.
    Expected<void> written;
    size_t alive = entries_.size() + found.size();
    if (list->records.size() + added.size() > alive + alive / 3 + 50) rewrite = true;
    if (rewrite) {
        std::vector<UidRecord> records;
        records.reserve(alive);
        std::vector<uint32_t> live;
        live.reserve(alive);
        for (const Entry& entry : entries_) live.push_back(entry.uid);
        for (const Found& f : found) live.push_back(f.uid);
        std::sort(live.begin(), live.end());
        for (const UidRecord& record : list->records)
            if (!record.name.empty() && std::binary_search(live.begin(), live.end(), record.uid))
                records.push_back(record);
        for (const NewUid& record : added) records.push_back({record.uid, {}, record.name});
        list->next_uid = next;
        if (auto done = write_uidlist(files_, uidlist_path_, *list, records); !done) written = fail(done.error());
    } else if (!added.empty()) {
        if (auto done = append_uids(files_, uidlist_path_, added); !done) written = fail(done.error());
    }
    if (!written && no_room(written.error()) && list->exists) {
        std::erase_if(found, [&](const Found& f) { return f.uid >= first_added; });
        record_.next_uid = first_added;
        return false;
    }
    if (!written && written.error().code != EACCES && written.error().code != EROFS) return fail(written.error());
    record_.next_uid = next;
    return true;
}

uint64_t Folder::next_modseq() const { return std::max(record_.highest_modseq + 1, clock_millis()); }

void Folder::count() {
    record_.messages = static_cast<uint32_t>(entries_.size());
    record_.unseen = record_.deleted = record_.recent = 0;
    for (const Entry& entry : entries_) {
        if (!(entry.system & kSeen)) ++record_.unseen;
        if (entry.system & kDeleted) ++record_.deleted;
        if (entry.uid >= record_.first_recent) ++record_.recent;
    }
}

void Folder::save(const std::vector<uint32_t>& changed, const std::vector<uint32_t>& gone, bool everything) {
    if (!index_) {
        ++record_.generation;
        return;
    }
    Index::Write write(*index_);
    auto stored = write.folder(paths_.directory);
    if (everything || !stored) {
        write.erase_folder(paths_.directory);
        record_.id = 0;
        everything = true;
    }
    uint64_t generation = std::max(record_.generation, stored ? stored->generation : 0) + 1;
    if (stored && !everything && stored->first_recent > record_.first_recent) {
        record_.first_recent = stored->first_recent;
        count();
    }
    record_.generation = generation;
    write.put_folder(paths_.directory, record_);
    auto put = [&](const Entry& entry) {
        MailRecord mail;
        mail.modseq = entry.modseq;
        mail.size = entry.size;
        mail.date = entry.date;
        mail.keywords = entry.keywords;
        mail.system = entry.system;
        mail.in_new = entry.in_new;
        write.put_mail(record_.id, entry.uid, mail, name_of(entry));
    };
    if (everything) {
        for (const Entry& entry : entries_) put(entry);
    } else {
        size_t at = 0;   // both in UID order
        for (uint32_t uid : changed) {
            if (at >= entries_.size() || entries_[at].uid > uid) at = 0;
            if (entries_.empty() || entries_[at].uid != uid) at = position(uid);
            if (at < entries_.size() && entries_[at].uid == uid) put(entries_[at++]);
        }
        for (uint32_t uid : gone) {
            write.erase_mail(record_.id, uid);
            write.put_gone(record_.id, record_.highest_modseq, uid);
        }
    }
    // A cache that cannot be written is left behind: this process goes on from memory.
    if (!write.commit()) index_.reset();
}

void Folder::claim_recent() {
    if (record_.first_recent == record_.next_uid) return;
    record_.first_recent = record_.next_uid;
    record_.recent = 0;
    if (!index_) return;
    Index::Write write(*index_);
    if (auto stored = write.folder(paths_.directory)) {
        stored->first_recent = std::max(stored->first_recent, record_.first_recent);
        stored->recent = stored->next_uid > stored->first_recent ? stored->recent : 0;
        write.put_folder(paths_.directory, *stored);
        (void)write.commit();
    }
}

}   // namespace postcot::maildir
