#include "queued/store/store.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "libproto/runtime/log.h"

namespace postcot::queued {

namespace {

constexpr uint64_t kNumbersAtOnce = 1 << 16;
constexpr size_t kReplayBatch = 20000;
constexpr unsigned kReclaimLater = 60;   // it is asked for each second

// Enough of a message to count it out.
StoredMessage text_place(const StoredMessage& message) {
    StoredMessage out;
    out.segment = message.segment;
    out.inline_length = message.inline_length;
    return out;
}

// What Pickup and PostfixImport leave in log_ident.
bool names_source(const std::string& mark) {
    for (const char* folder : {"maildrop/", "incoming/", "active/", "deferred/", "hold/"}) {
        if (mark.rfind(folder, 0) == 0) return true;
    }
    return false;
}

// Where a message's text lies once its record is at `record`.
Position text_position(Position record, uint64_t text_offset) {
    return Position{record.segment, record.offset + text_offset};
}

}   // namespace

Store::Store(Files& files, StoreOptions options)
    : files_(files),
      options_(std::move(options)),
      large_directory_(options_.directory + "/large"),
      journal_(files, options_.directory + "/journal", options_.directory + "/corrupt", options_.segment_size),
      reader_(files, journal_),
      commits_(files, journal_, large_directory_) {
    journal_.preamble = [this] {
        RecordBuilder builder;
        builder.add(OpNumbers{high_water_});
        return builder.take();
    };
    journal_.reserve_size = options_.reserve_size;
    commits_.on_pause = [this] {
        remove_dead_segments();
        journal_.fill_reserve();
    };
}

Store::~Store() = default;

Expected<void> Store::open() {
    if (auto opened = journal_.open(); !opened) return opened;
    journal_.fill_reserve();
    if (!files_.exists(large_directory_)) {
        if (auto made = files_.mkdir(large_directory_, 0700); !made) return made;
        if (auto synced = files_.sync_dir(options_.directory); !synced) return synced;
    }
    std::string boot = options_.boot_id.empty() ? current_boot_id() : options_.boot_id;
    std::string where = options_.index_directory.empty() ? options_.directory + "/index" : options_.index_directory;
    auto index = Index::open(where, options_.index_map_size, boot);
    if (!index) return fail(index.error());
    index_ = std::move(*index);
    if (auto replayed = replay(); !replayed) return replayed;
    index_->each([this](const StoredMessage& message) {
        count(message, 1);
        // Only what was accepted lately: its file would have been unlinked the moment after.
        const auto& mark = message.envelope.log_ident;
        if (names_source(mark) && files_.exists(options_.directory + "/" + mark)) picked_up_[mark] = message.id;
    });
    return drop_orphans();
}

Expected<void> Store::replay() {
    auto batch = std::make_unique<Index::Batch>(*index_);
    size_t in_batch = 0;
    Position last = index_->checkpoint();
    high_water_ = std::max(high_water_, index_->numbers());
    Expected<void> failure;
    std::vector<Op> ops;
    auto place_of = [](const StoredMessage& message) {
        return message.hold ? Index::Place::kHold : Index::Place::kDue;
    };
    auto visit = [&](Position at, std::string_view payload, unsigned format) {
        if (!failure) return true;
        const bool understood = decode_record(payload, format, ops);
        for (auto& op : ops) {
            if (auto* numbers = std::get_if<OpNumbers>(&op)) {
                high_water_ = std::max(high_water_, numbers->high_water);
            } else if (auto* message = std::get_if<OpMessage>(&op)) {
                auto text_offset = static_cast<uint64_t>(message->text.data() - payload.data());
                message->message.segment = at.segment;
                message->message.offset = at.offset + text_offset;
                batch->put(message->message, place_of(message->message));
            } else if (auto* removed = std::get_if<OpRemoved>(&op)) {
                batch->erase(removed->id);
            } else if (auto known = batch->get(op_id(op))) {
                queued::apply(op, *known);
                batch->put(*known, place_of(*known));
            }
        }
        last = Position{at.segment, at.offset + payload.size()};
        if (++in_batch >= kReplayBatch) {
            batch->set_checkpoint(last, high_water_);
            failure = batch->commit();
            batch = std::make_unique<Index::Batch>(*index_);
            in_batch = 0;
        }
        return understood;
    };
    if (auto replayed = journal_.replay(index_->checkpoint(), visit); !replayed) return replayed;
    if (!failure) return failure;
    batch->set_checkpoint(journal_.end(), high_water_);
    if (auto committed = batch->commit(); !committed) return committed;
    batch.reset();

    // What was in the scheduler's memory is due again.
    for (;;) {
        auto ids = index_->active(kReplayBatch);
        if (ids.empty()) break;
        Index::Batch again(*index_);
        for (const auto& id : ids) {
            auto message = again.get(id);
            if (message) again.put(*message, place_of(*message));
        }
        if (auto committed = again.commit(); !committed) return committed;
    }
    next_number_ = high_water_;
    commits_.set_applied(journal_.end());
    return {};
}

Expected<void> Store::drop_orphans() {
    auto names = files_.list(large_directory_);
    if (!names) return fail(names.error());
    for (const auto& name : *names) {
        if (index_->place(name)) continue;
        const std::string path = large_directory_ + "/" + name;
        // The record that speaks of it may be the one that was damaged.
        if (!journal_.damaged()) {
            (void)files_.unlink(path);
        } else if (auto kept = files_.rename(path, options_.directory + "/corrupt/large-" + name); kept) {
            log::error("queue: {}: no message is known for it: kept as corrupt/large-{}", path, name);
        }
    }
    return {};
}

void Store::count(const StoredMessage& message, int sign) {
    auto& living = living_[message.segment];
    living += sign;
    if (living <= 0) living_.erase(message.segment);
    if (sign > 0) {
        living_bytes_ += weight(message);
    } else {
        living_bytes_ -= std::min(living_bytes_, weight(message));
        if (message.segment == journal_.oldest()) commits_.request_pause();
    }
}

std::vector<std::string> Store::due(int64_t now, size_t limit) const { return index_->due(now, limit); }

std::vector<std::string> Store::site(std::string_view domain, size_t limit) const {
    auto ids = index_->site(domain, limit);
    for (const auto& [id, waiting] : put_back_) {
        if (pending_domains(waiting.message).count(std::string(domain))) ids.push_back(id);
    }
    return ids;
}

std::vector<Index::Entry> Store::list(const std::string& after, size_t limit, std::string* last) const {
    auto out = index_->list(after, limit);
    const std::string end = out.size() == limit ? out.back().message.id : std::string();
    if (last) *last = end;
    std::erase_if(out, [this](const Index::Entry& entry) {
        return erased_.count(entry.message.id) || put_back_.count(entry.message.id);
    });
    for (const auto& [id, waiting] : put_back_) {
        if (id <= after || (!end.empty() && id > end)) continue;
        out.push_back({waiting.message, waiting.message.hold ? Index::Place::kHold : Index::Place::kDue});
    }
    if (out.empty() && !end.empty()) return list(end, limit, last);
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.message.id < b.message.id; });
    return out;
}

std::optional<StoredMessage> Store::find(const std::string& id) const {
    if (erased_.count(id)) return std::nullopt;
    auto waiting = put_back_.find(id);
    if (waiting != put_back_.end()) return waiting->second.message;
    return index_->get(id);
}

bool Store::exists(const std::string& id) const {
    if (erased_.count(id)) return false;
    return put_back_.count(id) || index_->place(id).has_value();
}

Expected<void> Store::activate(const std::vector<std::string>& ids) {
    Index::Batch batch(*index_);
    for (const auto& id : ids) batch.move(id, Index::Place::kActive, 0);
    auto committed = batch.commit();
    if (committed) {
        for (const auto& id : ids) put_back_.erase(id);   // what the scheduler has is newer
    }
    return committed;
}

size_t Store::make_due(const std::vector<std::string>& ids, int64_t when) {
    if (auto flushed = flush_index(); !flushed) log::warning("{}", flushed.error().text);
    Index::Batch batch(*index_);
    size_t count = 0;
    for (const auto& id : ids) {
        if (auto waiting = put_back_.find(id); waiting != put_back_.end()) {
            if (waiting->second.message.hold) continue;
            waiting->second.message.next_attempt = when;
            ++count;
            continue;
        }
        if (erased_.count(id) || index_->place(id) != Index::Place::kDue) continue;
        batch.move(id, Index::Place::kDue, when);
        ++count;
    }
    if (auto committed = batch.commit(); !committed) log::warning("{}", committed.error().text);
    return count;
}

size_t Store::make_all_due(int64_t when) {
    if (auto flushed = flush_index(); !flushed) log::warning("{}", flushed.error().text);
    size_t total = 0;
    for (auto& [id, waiting] : put_back_) {
        if (waiting.message.hold || waiting.message.next_attempt <= when) continue;
        waiting.message.next_attempt = when;
        ++total;
    }
    for (;;) {
        auto ids = index_->due_after(when, 10000);
        if (ids.empty()) return total;
        Index::Batch batch(*index_);
        for (const auto& id : ids) batch.move(id, Index::Place::kDue, when);
        if (auto committed = batch.commit(); !committed) {
            log::warning("{}", committed.error().text);
            return total;
        }
        total += ids.size();
    }
}

void Store::put_back(const StoredMessage& message) { put_back_[message.id] = PutBack{message, commits_.last_added()}; }

void Store::accept(StoredMessage message, std::string_view text, std::vector<std::shared_ptr<File>> files,
                   std::function<void(Expected<StoredMessage>)> done) {
    RecordBuilder builder;
    message.inline_length = text.size();
    OpMessage op{std::move(message), text};
    Op wrapped(std::move(op));
    builder.add(wrapped);
    GroupCommit::Item item;
    uint64_t text_offset = builder.size() - text.size();
    item.record = builder.take();
    item.durable = true;
    item.refusable = true;
    item.sync_first = std::move(files);
    auto shared = std::make_shared<StoredMessage>(std::move(std::get<OpMessage>(wrapped).message));
    item.done = [this, shared, text_offset, done = std::move(done)](Expected<Position> at) {
        opening_.erase(shared->id);
        if (!at) {
            if (shared->large) (void)files_.unlink(large_path(shared->id));
            // Should the failed write have reached the disk all the same, this takes it back: nobody was told that we have it.
            GroupCommit::Item undo;
            RecordBuilder removed;
            removed.add(OpRemoved{shared->id});
            undo.record = removed.take();
            commits_.add(std::move(undo));
            done(fail(at.error()));
            return;
        }
        auto where = text_position(*at, text_offset);
        shared->segment = where.segment;
        shared->offset = where.offset;
        count(*shared, 1);
        done(std::move(*shared));
    };
    commits_.add(std::move(item));
}

void Store::record(std::vector<Op> ops, std::vector<Extra> extra, bool durable,
                   std::function<void(Expected<std::vector<StoredMessage>>)> done, const StoredMessage* finished) {
    RecordBuilder builder;
    for (const auto& op : ops) builder.add(op);
    std::string unlink_after;
    if (finished) {
        builder.add(OpRemoved{finished->id});
        put_back_.erase(finished->id);
        erased_[finished->id] = commits_.last_added() + 1;
        // Text goes when the journal says so: the other order could lose a message's text and keep the message.
        if (finished->large) unlink_after = large_path(finished->id);
    }
    struct Made {
        StoredMessage message;
        uint64_t text_offset;
    };
    auto made = std::make_shared<std::vector<Made>>();
    GroupCommit::Item item;
    for (auto& one : extra) {
        one.message.inline_length = one.text.size();
        Op wrapped(OpMessage{std::move(one.message), one.text});
        builder.add(wrapped);
        made->push_back(Made{std::move(std::get<OpMessage>(wrapped).message), builder.size() - one.text.size()});
        for (auto& file : one.files) item.sync_first.push_back(std::move(file));
    }
    item.record = builder.take();
    // A text may go only when the end of its message is on the disk: after a power loss there would be a message without a text.
    item.durable = durable || !unlink_after.empty();
    if (done || !made->empty() || finished) {
        std::optional<StoredMessage> dead;
        if (finished) dead = text_place(*finished);
        item.done = [this, made, dead, unlink_after, done = std::move(done)](Expected<Position> at) {
            if (!at) {
                for (auto& one : *made) {
                    if (one.message.large) (void)files_.unlink(large_path(one.message.id));
                }
                if (done) done(fail(at.error()));
                return;
            }
            std::vector<StoredMessage> messages;
            for (auto& one : *made) {
                auto where = text_position(*at, one.text_offset);
                one.message.segment = where.segment;
                one.message.offset = where.offset;
                opening_.erase(one.message.id);
                count(one.message, 1);
                messages.push_back(std::move(one.message));
            }
            if (dead) count(*dead, -1);
            if (!unlink_after.empty()) (void)files_.unlink(unlink_after);
            if (done) done(std::move(messages));
        };
    }
    commits_.add(std::move(item));
}

Expected<std::string> Store::read_head(const StoredMessage& message) {
    return reader_.read(Position{message.segment, message.offset}, message.inline_length);
}

Expected<std::unique_ptr<File>> Store::open_large(const StoredMessage& message) {
    return files_.open(large_path(message.id), Open::kRead);
}

Expected<std::unique_ptr<File>> Store::create_large(const std::string& id) {
    auto file = files_.open(large_path(id), Open::kCreateNew, 0600);
    if (file) opening_.insert(id);
    return file;
}

void Store::abort_large(const std::string& id) {
    if (opening_.erase(id)) (void)files_.unlink(large_path(id));
}

Expected<void> Store::link_large(const std::string& from, const std::string& to) {
    return files_.link(large_path(from), large_path(to));
}

uint64_t Store::take_numbers(uint32_t count) {
    if (next_number_ + count > high_water_) {
        high_water_ = next_number_ + kNumbersAtOnce;
        RecordBuilder builder;
        builder.add(OpNumbers{high_water_});
        GroupCommit::Item item;   // not durable by itself: it precedes every accept that uses these numbers
        item.record = builder.take();
        commits_.add(std::move(item));
    }
    uint64_t first = next_number_;
    next_number_ += count;
    return first;
}

Expected<void> Store::flush_index(const std::vector<const StoredMessage*>* active) {
    Index::Batch batch(*index_);
    // At a checkpoint nothing may be left out: what lies before it is not read again.
    const uint64_t settled = active ? commits_.last_added() : commits_.settled();
    for (const auto& [id, waiting] : put_back_) {
        if (waiting.after <= settled)
            batch.put(waiting.message, waiting.message.hold ? Index::Place::kHold : Index::Place::kDue);
    }
    for (const auto& [id, after] : erased_) {
        if (after <= settled) batch.erase(id);
    }
    if (active) {
        for (const auto* message : *active) batch.put(*message, Index::Place::kActive);
        batch.set_checkpoint(commits_.applied(), high_water_);
    }
    auto committed = batch.commit();
    if (!committed) return committed;
    std::erase_if(put_back_, [&](const auto& one) { return one.second.after <= settled; });
    std::erase_if(erased_, [&](const auto& one) { return one.second <= settled; });
    return {};
}

uint64_t Store::journal_since_checkpoint() const {
    Position checkpoint = index_->checkpoint();
    Position applied = commits_.applied();
    if (checkpoint.segment == applied.segment) return applied.offset - std::min(applied.offset, checkpoint.offset);
    return (applied.segment - checkpoint.segment) * options_.segment_size;
}

// Between writes. Only what lies before the checkpoint may go: the index does not need it, and a whole replay has nothing to find there.
void Store::remove_dead_segments() {
    while (journal_.segment_count() > 1 && journal_.oldest() != journal_.end().segment &&
           !living_.count(journal_.oldest()) && journal_.oldest() < index_->checkpoint().segment) {
        uint32_t number = journal_.oldest();
        if (auto removed = journal_.remove_oldest(); !removed) {
            log::warning("queue journal: {}", removed.error().text);
            return;
        }
        reader_.forget(number);
    }
}

void Store::reclaim(const std::function<StoredMessage*(const std::string&)>& active) {
    commits_.request_pause();
    if (reclaim_later_ > 0) --reclaim_later_;
    if (reclaiming_ || reclaim_later_ > 0 || commits_.blocked()) return;
    uint32_t oldest = journal_.oldest();
    uint64_t total = journal_.segment_count() * options_.segment_size;   // the real sizes belong to the writing thread
    if (journal_.segment_count() < 4 || total < 2 * living_bytes_ || !living_.count(oldest)) return;
    std::set<std::string> ids;
    std::vector<Op> ops;
    Journal old(files_, options_.directory + "/journal", options_.directory + "/corrupt", options_.segment_size);
    auto outstanding = std::make_shared<size_t>(0);
    auto visit = [&](Position at, std::string_view payload, unsigned format) {
        const bool understood = decode_record(payload, format, ops);
        for (const auto& op : ops) {
            auto* stale = std::get_if<OpMessage>(&op);
            if (!stale) continue;
            auto offset = at.offset + static_cast<uint64_t>(stale->text.data() - payload.data());
            const std::string& id = stale->message.id;
            StoredMessage* live = active(id);
            std::optional<StoredMessage> found;
            if (!live) found = find(id);
            const StoredMessage* now = live ? live : found ? &*found : nullptr;
            if (!now || now->segment != oldest || now->offset != offset) continue;
            RecordBuilder builder;
            builder.add(OpMessage{*now, stale->text});
            uint64_t text_offset = builder.size() - stale->text.size();
            GroupCommit::Item item;
            item.record = builder.take();
            item.durable = true;
            item.refusable = true;
            ++*outstanding;
            reclaiming_ = true;
            item.done = [this, id, active, text_offset, outstanding](Expected<Position> moved) {
                if (--*outstanding == 0) reclaiming_ = false;
                if (!moved) {
                    reclaim_later_ = kReclaimLater;
                    return;
                }
                StoredMessage* current = active(id);
                std::optional<StoredMessage> waiting;
                if (!current) waiting = find(id);
                if (!current && !waiting) return;   // finished meanwhile
                StoredMessage& message = current ? *current : *waiting;
                count(message, -1);
                auto where = text_position(*moved, text_offset);
                message.segment = where.segment;
                message.offset = where.offset;
                count(message, 1);
                if (!current) put_back(message);
            };
            commits_.add(std::move(item));
        }
        return understood;
    };
    if (auto read = old.replay_segment(oldest, 0, visit); !read) log::warning("queue journal: {}", read.error().text);
}

}   // namespace postcot::queued
