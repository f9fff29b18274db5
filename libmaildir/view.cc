#include "libmaildir/view.h"

#include <algorithm>

#include "libmaildir/filename.h"
#include "libmaildir/parallel.h"
#include "libproto/mime/bodystructure.h"
#include "libproto/mime/message.h"

namespace postcot::maildir {

namespace {

tl::unexpected<Error> gone_error() {
    return fail(ENOENT, "EXPUNGEISSUED", "Some of the requested messages no longer exist");
}

}   // namespace

// Message, the handle.
Uid Message::uid() const { return mailbox_->uid_of(SeqNum{static_cast<uint32_t>(index_ + 1)}); }
SeqNum Message::seq() const { return SeqNum{static_cast<uint32_t>(index_ + 1)}; }
FlagSet Message::flags() const { return mailbox_->flags_at(index_); }
ModSeq Message::modseq() const { return mailbox_->modseq_at(index_); }
bool Message::recent() const { return mailbox_->recent_at(index_); }
DateTime Message::internal_date() const { return mailbox_->date_at(index_); }
Expected<DateTime> Message::save_date() const { return mailbox_->save_date_at(index_); }
Expected<uint64_t> Message::size() const { return mailbox_->size_at(index_); }
std::string Message::guid() const { return mailbox_->guid_at(index_); }
Expected<std::string> Message::pop3_uidl() const { return mailbox_->pop3_uidl_at(index_); }
Expected<std::string_view> Message::envelope() const { return mailbox_->cached_at(index_, Mailbox::Cached::kEnvelope); }
Expected<std::string_view> Message::bodystructure() const {
    return mailbox_->cached_at(index_, Mailbox::Cached::kBodyStructure);
}
Expected<std::string_view> Message::body() const { return mailbox_->cached_at(index_, Mailbox::Cached::kBody); }
Expected<std::string_view> Message::preview() const { return mailbox_->cached_at(index_, Mailbox::Cached::kPreview); }
Expected<std::unique_ptr<Content>> Message::open(const mime::Section& section) const {
    return mailbox_->open_at(index_, section);
}

View::View(FolderSource& source, std::shared_ptr<Folder> folder, std::string name, bool read_only)
    : source_(source), folder_(std::move(folder)), name_(std::move(name)), read_only_(read_only) {
    fill();
}

View::~View() { folder_->flush_cache(); }

void View::take(Row& row, const Entry& entry) const {
    row.uid = entry.uid;
    row.keywords = entry.keywords;
    row.modseq = entry.modseq;
    row.system = entry.system;
}

void View::fill() {
    rows_.resize(folder_->entries().size());
    uint32_t first_recent = folder_->first_recent();
    recent_ = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
        take(rows_[i], folder_->entries()[i]);
        rows_[i].recent = rows_[i].uid >= first_recent ? 1 : 0;
        recent_ += rows_[i].recent;
    }
    keywords_ = folder_->keywords();
    uid_validity_ = folder_->uid_validity();
    highest_modseq_ = folder_->highest_modseq();
    version_ = folder_->version();
    if (!read_only_) folder_->claim_recent();
}

std::optional<SeqNum> View::first_unseen() const {
    for (size_t i = 0; i < rows_.size(); ++i)
        if (!(rows_[i].system & kSeen)) return SeqNum{static_cast<uint32_t>(i + 1)};
    return std::nullopt;
}

bool View::can_create_keywords() const {
    if (read_only_) return false;
    size_t used = static_cast<size_t>(
        std::count_if(keywords_.begin(), keywords_.end(), [](const std::string& k) { return !k.empty(); }));
    return used < static_cast<size_t>(kMaxKeywords);
}

std::vector<std::string> View::watch_paths() const {
    return {folder_->paths().directory + "/cur", folder_->paths().directory + "/new"};
}

Entry* View::entry_at(size_t index) {
    // Mostly row and entry stand at the same place.
    const auto& entries = folder_->entries();
    if (index < entries.size() && entries[index].uid == rows_[index].uid) return const_cast<Entry*>(&entries[index]);
    return folder_->find(rows_[index].uid);
}

Expected<Changes> View::sync(bool expunges) {
    Changes changes;
    parsed_ = {};
    auto refreshed = folder_->refresh(!read_only_);
    if (!refreshed) return fail(refreshed.error());
    if (folder_->uid_validity() != uid_validity_)
        return fail(ESTALE, "SERVERBUG", "UIDVALIDITY of the mailbox changed");
    changes.exists = exists();
    changes.recent = recent_;
    if (keywords_ != folder_->keywords()) {
        keywords_ = folder_->keywords();
        changes.keywords_changed = true;
    }
    if (folder_->version() == version_ && !(expunges && held_back_)) return changes;
    scratch_uid_ = 0;
    const auto& entries = folder_->entries();
    uint32_t first_recent = folder_->first_recent();
    size_t kept = 0, e = 0;
    held_back_ = false;
    for (size_t i = 0; i < rows_.size(); ++i) {
        Row row = rows_[i];
        while (e < entries.size() && entries[e].uid < row.uid) ++e;   // never: new UIDs are higher than all known
        if (e < entries.size() && entries[e].uid == row.uid) {
            const Entry& entry = entries[e++];
            if (row.system != entry.system || row.keywords != entry.keywords)
                changes.flags.push_back(SeqNum{static_cast<uint32_t>(kept + 1)});
            take(row, entry);
        } else if (expunges) {
            changes.expunged.push_back(SeqNum{static_cast<uint32_t>(kept + 1)});
            changes.vanished.push_back(Uid{row.uid});
            recent_ -= row.recent;
            continue;
        } else {
            held_back_ = true;
        }
        rows_[kept++] = row;
    }
    rows_.resize(kept);
    uint32_t last = rows_.empty() ? 0 : rows_.back().uid;
    size_t before = rows_.size();
    for (e = last == 0 ? 0 : folder_->position(last + 1); e < entries.size(); ++e) {
        Row row;
        take(row, entries[e]);
        row.recent = row.uid >= first_recent ? 1 : 0;
        recent_ += row.recent;
        rows_.push_back(row);
    }
    if (!read_only_) folder_->claim_recent();
    changes.exists_changed = rows_.size() != before;
    changes.exists = exists();
    changes.recent = recent_;
    version_ = folder_->version();
    highest_modseq_ = folder_->highest_modseq();
    return changes;
}

std::optional<SeqNum> View::find(Uid uid) const {
    auto it =
        std::lower_bound(rows_.begin(), rows_.end(), uid.value, [](const Row& r, uint32_t u) { return r.uid < u; });
    if (it == rows_.end() || it->uid != uid.value) return std::nullopt;
    return SeqNum{static_cast<uint32_t>(it - rows_.begin() + 1)};
}

std::vector<SeqNum> View::select_uids(const NumberSet& uids) const {
    std::vector<SeqNum> out;
    for (const NumberRange& range : uids) {
        auto it = std::lower_bound(rows_.begin(), rows_.end(), range.first,
                                   [](const Row& r, uint32_t u) { return r.uid < u; });
        for (; it != rows_.end() && it->uid <= range.last; ++it)
            out.push_back(SeqNum{static_cast<uint32_t>(it - rows_.begin() + 1)});
    }
    return out;
}

std::vector<SeqNum> View::select(const NumberSet& numbers) const {
    std::vector<SeqNum> out;
    for (const NumberRange& range : numbers)
        for (uint64_t n = std::max<uint32_t>(range.first, 1); n <= range.last && n <= rows_.size(); ++n)
            out.push_back(SeqNum{static_cast<uint32_t>(n)});
    return out;
}

Expected<StoreResult> View::store(const std::vector<SeqNum>& messages, const StoreChange& change) {
    if (read_only_) return fail(EROFS, "NOPERM", "Mailbox is read-only");
    StoreResult result;
    uint32_t bits = 0;
    if (change.how == StoreChange::How::kRemove) {
        bits = folder_->known_keyword_bits(change.keywords);
    } else {
        auto made = folder_->keyword_bits(change.keywords);
        if (!made) return fail(made.error());
        bits = *made;
    }
    if (keywords_ != folder_->keywords()) {
        keywords_ = folder_->keywords();
        result.keywords_changed = true;
    }
    std::vector<uint32_t> uids, modified;
    uids.reserve(messages.size());
    for (SeqNum seq : messages) uids.push_back(rows_[seq.value - 1].uid);
    auto applied = [&](FlagSet flags) {
        switch (change.how) {
            case StoreChange::How::kAdd:
                flags.system |= change.system;
                flags.keywords |= bits;
                break;
            case StoreChange::How::kRemove:
                flags.system &= static_cast<uint8_t>(~change.system);
                flags.keywords &= ~bits;
                break;
            case StoreChange::How::kReplace:
                flags.system = change.system;
                flags.keywords = bits;
                break;
        }
        return flags;
    };
    auto decide = [&](const Entry& entry) -> std::optional<FlagSet> {
        if (change.unchanged_since && entry.modseq > change.unchanged_since->value) {
            modified.push_back(entry.uid);
            return std::nullopt;
        }
        return applied(entry.flags());
    };
    auto gone = folder_->set_flags(uids, decide);
    if (!gone) return fail(gone.error());
    std::sort(modified.begin(), modified.end());
    std::sort(gone->begin(), gone->end());
    for (SeqNum seq : messages) {
        Row& row = rows_[seq.value - 1];
        if (!gone->empty() && std::binary_search(gone->begin(), gone->end(), row.uid)) {
            result.gone.push_back(seq);
            continue;
        }
        if (!modified.empty() && std::binary_search(modified.begin(), modified.end(), row.uid)) {
            result.modified.push_back(seq);
            continue;
        }
        FlagSet expected = applied({row.system, row.keywords});
        if (const Entry* entry = entry_at(seq.value - 1)) take(row, *entry);
        if (expected != FlagSet{row.system, row.keywords}) result.surprising.push_back(seq);
        result.changed.push_back(seq);
    }
    highest_modseq_ = std::max(highest_modseq_, folder_->highest_modseq());
    return result;
}

Expected<uint32_t> View::expunge(const NumberSet* uids) {
    if (read_only_) return fail(EROFS, "NOPERM", "Mailbox is read-only");
    auto refreshed = folder_->refresh(true);
    if (!refreshed) return fail(refreshed.error());
    std::vector<uint32_t> doomed;
    for (size_t i = 0; i < rows_.size(); ++i) {
        const Entry* entry = entry_at(i);
        if (entry && (entry->system & kDeleted) && (!uids || contains(*uids, entry->uid))) doomed.push_back(entry->uid);
    }
    if (doomed.empty()) return 0U;
    return folder_->remove(doomed, [](const Entry& entry) { return (entry.system & kDeleted) != 0; });
}

Expected<CopyResult> View::copy_into(const std::vector<SeqNum>& messages, const std::string& target,
                                     std::vector<uint32_t>& sources) {
    auto folder = source_.folder_named(target);
    if (!folder) {
        Error error = folder.error();
        if (error.enhanced == "NONEXISTENT") error.enhanced = "TRYCREATE";
        return fail(error);
    }
    Folder& to = **folder;
    Files& files = folder_->files();
    // Keywords by name: each folder has letters of its own.
    uint32_t used = 0;
    for (SeqNum seq : messages)
        if (const Entry* entry = entry_at(seq.value - 1)) used |= entry->keywords;
    uint32_t letter[kMaxKeywords] = {};
    for (int i = 0; i < kMaxKeywords; ++i) {
        if (!(used & (1U << i)) || static_cast<size_t>(i) >= folder_->keywords().size() ||
            folder_->keywords()[static_cast<size_t>(i)].empty())
            continue;
        auto bits = to.keyword_bits({folder_->keywords()[static_cast<size_t>(i)]});
        if (bits) letter[i] = *bits;   // no room: the message goes without that keyword
    }
    for (int attempt = 0;; ++attempt) {
        std::vector<Folder::Incoming> incoming;
        std::vector<std::string> paths;
        sources.clear();
        for (SeqNum seq : messages) {
            const Entry* entry = entry_at(seq.value - 1);
            if (!entry) return gone_error();
            Folder::Incoming one;
            one.base = unique_name();
            std::string_view base = base_of(folder_->name_of(*entry));
            for (char field : {'S', 'W'})
                if (auto size = size_field(base, field))
                    one.base += std::string(",") + field + "=" + std::to_string(*size);
            one.flags.system = entry->system;
            for (int i = 0; i < kMaxKeywords; ++i)
                if (entry->keywords & (1U << i)) one.flags.keywords |= letter[i];
            incoming.push_back(std::move(one));
            paths.push_back(folder_->path_of(*entry));
            sources.push_back(entry->uid);
        }
        uint32_t missing = 0;
        bool links = source_.hard_links();
        auto place = [&](size_t i, const std::string& path) -> Expected<void> {
            if (links) {
                auto linked = files.link(paths[i], path);
                if (linked) return linked;
                if (linked.error().code == ENOENT) missing = sources[i];
                if (linked.error().code != EXDEV && linked.error().code != EPERM && linked.error().code != EMLINK)
                    return linked;
                links = false;
            }
            auto file = MessageFile::open(files, paths[i]);
            if (!file) {
                if (file.error().code == ENOENT) missing = sources[i];
                return fail(file.error());
            }
            std::string temporary = to.paths().directory + "/tmp/" + incoming[i].base;
            auto copy = files.open(temporary, Open::kCreateNew, 0600);
            if (!copy) return fail(copy.error());
            Expected<void> done = (*copy)->append((*file)->text());
            if (done && (*copy)->fd() >= 0) {
                timespec times[2] = {{(*file)->modified(), 0}, {(*file)->modified(), 0}};
                (void)::futimens((*copy)->fd(), times);
            }
            if (done) done = (*copy)->sync();
            if (done) done = files.rename(temporary, path);
            if (!done) (void)files.unlink(temporary);
            return done;
        };
        auto uids = to.add(incoming, place);
        if (uids) {
            CopyResult result;
            result.uid_validity = to.uid_validity();
            for (uint32_t uid : sources) result.source.push_back(Uid{uid});
            result.target = std::move(*uids);
            return result;
        }
        if (missing == 0 || attempt == 3) return fail(uids.error());
        auto path = folder_->locate_again(missing);   // renamed by someone else: with its new name, once more
        if (!path) return fail(path.error());
    }
}

Expected<CopyResult> View::copy(const std::vector<SeqNum>& messages, const std::string& target) {
    std::vector<uint32_t> sources;
    return copy_into(messages, target, sources);
}

Expected<CopyResult> View::move(const std::vector<SeqNum>& messages, const std::string& target) {
    if (read_only_) return fail(EROFS, "NOPERM", "Mailbox is read-only");
    // RFC 6851: the copies are durable before the first original goes.
    std::vector<uint32_t> sources;
    auto copied = copy_into(messages, target, sources);
    if (!copied) return copied;
    auto removed = folder_->remove(sources, [](const Entry&) { return true; });
    if (!removed) return fail(removed.error());
    return copied;
}

Expected<std::optional<std::vector<Uid>>> View::expunged_since(ModSeq since) {
    std::optional<std::vector<Uid>> out;
    if (!folder_->index() || since.value < folder_->record().gone_floor) return out;
    std::vector<uint32_t> uids = folder_->index()->gone_since(folder_->record().id, since.value);
    std::sort(uids.begin(), uids.end());
    uids.erase(std::unique(uids.begin(), uids.end()), uids.end());
    out.emplace();
    for (uint32_t uid : uids) out->push_back(Uid{uid});
    return out;
}

std::string View::path_at(size_t index) {
    const Entry* entry = entry_at(index);
    return entry ? folder_->path_of(*entry) : std::string();
}

// Reads and parses these messages in parallel, for the cache.
void View::warm(const std::vector<size_t>& indexes) {
    struct Job {
        uint32_t uid;
        std::string path;
        bool done = false;
        maildir::Cached made;
        uint64_t size = 0;
        int64_t date = 0;
    };
    std::vector<Job> jobs;
    jobs.reserve(indexes.size());
    for (size_t index : indexes) jobs.push_back({rows_[index].uid, path_at(index), false, {}, 0, 0});
    parallel_for(jobs.size(), [&](size_t i) {
        Job& job = jobs[i];
        auto file = MessageFile::open(folder_->files(), job.path);
        if (!file) return;   // renamed or gone: whoever asks for it looks again
        job.made = cache_of((*file)->text());
        job.size = crlf_size((*file)->text());
        job.date = (*file)->modified();
        job.done = true;
    });
    for (Job& job : jobs) {
        if (!job.done) continue;
        if (Entry* entry = folder_->find(job.uid))
            folder_->learned(*entry, entry->size == UINT64_MAX ? job.size : entry->size, job.date);
        folder_->cache(job.uid, std::move(job.made.head), std::move(job.made.wire));
    }
}

Expected<std::shared_ptr<MessageFile>> View::file_at(size_t index) {
    Entry* entry = entry_at(index);
    if (!entry) return gone_error();
    auto file = MessageFile::open(folder_->files(), folder_->path_of(*entry));
    if (!file && file.error().code == ENOENT) {
        uint32_t uid = rows_[index].uid;
        auto path = folder_->locate_again(uid);
        if (!path) return fail(path.error());
        file = MessageFile::open(folder_->files(), *path);
        entry = folder_->find(uid);
    }
    if (file && entry)
        folder_->learned(*entry, entry->size == UINT64_MAX ? crlf_size((*file)->text()) : entry->size,
                         (*file)->modified());
    return file;
}

DateTime View::date_at(size_t index) {
    Entry* entry = entry_at(index);
    if (!entry) return {};
    if (entry->date == INT64_MIN) {
        auto status = folder_->files().stat(folder_->path_of(*entry));
        if (!status) {
            if (auto path = folder_->locate_again(rows_[index].uid)) status = folder_->files().stat(*path);
            entry = folder_->find(rows_[index].uid);
        }
        if (!status || !entry) return {};
        folder_->learned(*entry, entry->size, status->st_mtim.tv_sec);
    }
    return {entry->date, 0};
}

Expected<DateTime> View::save_date_at(size_t index) {
    Entry* entry = entry_at(index);
    if (!entry) return gone_error();
    auto status = folder_->files().stat(folder_->path_of(*entry));
    if (!status) {
        auto path = folder_->locate_again(rows_[index].uid);
        if (!path) return fail(path.error());
        status = folder_->files().stat(*path);
    }
    if (!status) return fail(status.error());
    return DateTime{status->st_ctim.tv_sec, 0};
}

Expected<uint64_t> View::size_at(size_t index) {
    Entry* entry = entry_at(index);
    if (!entry) return gone_error();
    if (entry->size != UINT64_MAX) return entry->size;
    auto file = file_at(index);
    if (!file) return fail(file.error());
    return crlf_size((*file)->text());
}

std::string View::guid_at(size_t index) {
    const Entry* entry = entry_at(index);
    return entry ? std::string(base_of(folder_->name_of(*entry))) : std::string();
}

// The UIDL a POP3 client knows the message by when it came from another server (P in dovecot-uidlist); empty: the default form.
Expected<std::string> View::pop3_uidl_at(size_t index) {
    if (!uidls_read_) {
        auto list = UidList::load(folder_->files(), folder_->paths().control + "/dovecot-uidlist");
        if (!list) return fail(list.error());
        for (const UidRecord& record : list->records)
            if (std::string_view uidl = UidList::extension(record, 'P'); !uidl.empty())
                uidls_.emplace_back(record.uid, std::string(uidl));
        uidls_read_ = true;
    }
    auto it = std::lower_bound(uidls_.begin(), uidls_.end(), rows_[index].uid,
                               [](const auto& pair, uint32_t uid) { return pair.first < uid; });
    if (it != uidls_.end() && it->first == rows_[index].uid) return it->second;
    return std::string();
}

maildir::Cached View::build(size_t index, const MessageFile& file) {
    maildir::Cached made = cache_of(file.text());
    folder_->cache(rows_[index].uid, made.head, made.wire);
    return made;
}

Expected<std::string_view> View::cached_at(size_t index, Cached what) {
    uint32_t uid = rows_[index].uid;
    if (what == Cached::kPreview) {
        scratch_uid_ = 0;
        if (folder_->cached(Index::kPreview, uid, scratch_)) return std::string_view(scratch_);
        auto file = file_at(index);
        if (!file) return fail(file.error());
        scratch_ = mime::preview_of((*file)->text(), mime::parse_message((*file)->text()));
        folder_->cache_preview(uid, scratch_);
        return std::string_view(scratch_);
    }
    if (what == Cached::kBody) {
        scratch_uid_ = 0;
        auto file = file_at(index);
        if (!file) return fail(file.error());
        scratch_.clear();
        mime::append_bodystructure(scratch_, (*file)->text(), mime::parse_message((*file)->text()), false);
        return std::string_view(scratch_);
    }
    if (scratch_uid_ != uid) {
        if (!folder_->cached(Index::kWire, uid, scratch_)) {
            scratch_uid_ = 0;
            // Someone goes through an uncached folder: read ahead.
            misses_in_order_ = index == last_miss_ + 1 ? misses_in_order_ + 1 : 0;
            last_miss_ = index;
            if (misses_in_order_ >= 8) {
                std::vector<size_t> ahead;
                std::string unused;
                for (size_t i = index; i < rows_.size() && ahead.size() < 512; ++i) {
                    if (i > index && folder_->cached(Index::kWire, rows_[i].uid, unused)) break;
                    ahead.push_back(i);
                }
                warm(ahead);
                last_miss_ = index + ahead.size() - 1;
            }
            if (misses_in_order_ < 8 || !folder_->cached(Index::kWire, uid, scratch_)) {
                auto file = file_at(index);
                if (!file) return fail(file.error());
                scratch_ = build(index, **file).wire;
            }
        }
        scratch_uid_ = uid;
    }
    return what == Cached::kEnvelope ? wire_envelope(scratch_) : wire_bodystructure(scratch_);
}

Expected<std::string_view> View::head_at(size_t index) {
    if (!folder_->cached(Index::kHead, rows_[index].uid, head_scratch_)) {
        auto file = file_at(index);
        if (!file) return fail(file.error());
        head_scratch_ = build(index, **file).head;
    }
    return std::string_view(head_scratch_);
}

Expected<void> View::each_head(const std::vector<SeqNum>& messages,
                               const std::function<void(SeqNum, std::string_view)>& fn) {
    folder_->flush_cache();
    size_t at = 0;
    auto by_itself = [&](SeqNum seq) -> Expected<void> {
        auto head = head_at(seq.value - 1);
        if (!head && head.error().code != ENOENT) return fail(head.error());
        fn(seq, head ? *head : std::string_view());
        return {};
    };
    // One pass of a cursor over what is cached, when it is a good part of the folder; those in between are read from their files afterwards, since reading
    // writes to the cache.
    std::vector<SeqNum> uncached;
    if (folder_->index() && messages.size() > 16 && messages.size() > rows_.size() / 20) {
        folder_->index()->scan(Index::kHead, folder_->record().id, [&](uint32_t uid, std::string_view head) {
            while (at < messages.size() && rows_[messages[at].value - 1].uid < uid) uncached.push_back(messages[at++]);
            if (at == messages.size()) return false;
            if (rows_[messages[at].value - 1].uid == uid) fn(messages[at++], head);
            return true;
        });
    }
    while (at < messages.size()) uncached.push_back(messages[at++]);
    for (size_t i = 0; i < uncached.size(); ++i) {
        if (i % 512 == 0 && uncached.size() - i >= 64) {
            std::vector<size_t> ahead;
            std::string unused;
            for (size_t k = i; k < std::min(uncached.size(), i + 512); ++k)
                if (!folder_->cached(Index::kHead, rows_[uncached[k].value - 1].uid, unused))
                    ahead.push_back(uncached[k].value - 1);
            warm(ahead);
        }
        if (auto done = by_itself(uncached[i]); !done) return done;
    }
    return {};
}

Expected<std::unique_ptr<Content>> View::open_at(size_t index, const mime::Section& section) {
    using Kind = mime::Section::Kind;
    if (section.kind == Kind::kHeaderFields && section.part.empty() &&
        std::all_of(section.fields.begin(), section.fields.end(),
                    [](const std::string& f) { return field_is_cached(f); })) {
        auto head = head_at(index);
        if (!head) return fail(head.error());
        if (head_start(*head).complete) {
            std::string_view text = head_fields(*head);
            std::string out;
            for (const mime::Field& field : mime::parse_fields(text))
                if (std::any_of(section.fields.begin(), section.fields.end(),
                                [&](const std::string& f) { return mime::iequals(f, field.name); }))
                    out += text.substr(field.begin, field.end - field.begin);
            out += '\n';
            return content_of(std::move(out), true);
        }
    }
    bool whole = section.part.empty() && section.kind == Kind::kAll;
    if (parsed_.uid != rows_[index].uid) {
        auto file = file_at(index);
        if (!file) return fail(file.error());
        uint64_t size = (*file)->text().size();
        if (whole) return content_of(std::move(*file), {{0, size}}, false);
        parsed_ = {rows_[index].uid, *file, mime::parse_message((*file)->text())};
    }
    std::string_view text = parsed_.file->text();
    if (whole) return content_of(parsed_.file, {{0, text.size()}}, false);
    mime::SectionRanges found = mime::locate(text, parsed_.root, section);
    if (!found.found) return std::unique_ptr<Content>();
    if (section.decoded && section.kind == Kind::kAll && found.part && !section.part.empty() &&
        found.part->children.empty()) {
        const std::string& encoding = found.part->encoding;
        if (encoding == "base64" || encoding == "quoted-printable") {
            auto [begin, end] = found.ranges[0];
            return content_of(mime::decode_transfer(text.substr(begin, end - begin), encoding, mime::LineEnds::kCrlf),
                              false);
        }
        if (!encoding.empty() && encoding != "7bit" && encoding != "8bit" && encoding != "binary")
            return fail(EINVAL, "UNKNOWN-CTE", "Unknown Content-Transfer-Encoding");
    }
    return content_of(parsed_.file, std::move(found.ranges), found.add_blank);
}

}   // namespace postcot::maildir
