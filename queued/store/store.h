// What is in the queue: journal, index and large files behind one interface. Everything here runs on the loop's thread; only GroupCommit's write
// goes to the thread pool.
//
//   $queue_directory/journal/   the truth
//   $queue_directory/large/     <queue id>: text of messages over ipc::kInlineContent
//   $queue_directory/index/     LMDB, derived
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/files.h"
#include "queued/index/index.h"
#include "queued/journal/group_commit.h"
#include "queued/journal/journal.h"
#include "queued/journal/records.h"

namespace postcot::queued {

struct StoreOptions {
    std::string directory;   // queue_directory
    uint64_t segment_size = Journal::kDefaultSegmentSize;
    std::string index_directory;   // empty: <directory>/index
    uint64_t index_map_size = uint64_t{64} << 30;
    uint64_t reserve_size = 1 << 20;   // of the journal, for a full disk: some thousand results
    std::string boot_id;   // empty: the host's
};

class Store {
  public:
    Store(Files& files, StoreOptions options);
    ~Store();

    // Replays what the index does not know, drops orphaned large files. Afterwards no message is active: all are due, on hold or waiting.
    Expected<void> open();

    // --- messages that are not in the scheduler's memory
    std::vector<std::string> due(int64_t now, size_t limit) const;
    std::vector<std::string> site(std::string_view domain, size_t limit) const;
    std::optional<StoredMessage> find(const std::string& id) const;
    bool exists(const std::string& id) const;
    // `last`: up to which id that is all there is; empty when nothing comes behind.
    std::vector<Index::Entry> list(const std::string& after, size_t limit, std::string* last = nullptr) const;
    uint64_t indexed() const { return index_->size(); }
    // The scheduler takes messages into memory. On an error none is taken.
    Expected<void> activate(const std::vector<std::string>& ids);
    // Deferred messages become due at `when` (flush). Not journalled: after a crash they wait for their own time again.
    size_t make_due(const std::vector<std::string>& ids, int64_t when);
    size_t make_all_due(int64_t when);
    // The scheduler lets go of it: it waits for next_attempt, or is on hold. Written with the next flush_index().
    void put_back(const StoredMessage& message);

    // --- changes, journalled first. A message's text location is set when `done` is called.
    // Accepts a message: `done` after it is on disk.
    void accept(StoredMessage message, std::string_view text, std::vector<std::shared_ptr<File>> files,
                std::function<void(Expected<StoredMessage>)> done);
    // Records several ops at once, and maybe a new message with them (bounces, forwards): all or nothing.
    struct Extra {
        StoredMessage message;
        std::string text;
        std::vector<std::shared_ptr<File>> files;
    };
    // `finished`: that message is forgotten with it, and its large file afterwards.
    void record(std::vector<Op> ops, std::vector<Extra> extra, bool durable,
                std::function<void(Expected<std::vector<StoredMessage>>)> done,
                const StoredMessage* finished = nullptr);
    void remove(const StoredMessage& message) { record({}, {}, false, nullptr, &message); }

    // Text: the inline part (`head`), and the large file's read-only descriptor if there is one.
    Expected<std::string> read_head(const StoredMessage& message);
    Expected<std::unique_ptr<File>> open_large(const StoredMessage& message);
    std::string large_path(const std::string& id) const { return large_directory_ + "/" + id; }
    // A file for a message's text before it is accepted.
    Expected<std::unique_ptr<File>> create_large(const std::string& id);
    void abort_large(const std::string& id);
    // Shares the text of another message (forwards): a hard link under the new id.
    Expected<void> link_large(const std::string& from, const std::string& to);

    // Files below queue_directory that an earlier process took messages from and did not live to unlink (Envelope::log_ident says which),
    // with the messages' ids.
    const std::unordered_map<std::string, std::string>& picked_up() const { return picked_up_; }
    bool was_picked_up(const std::string& mark) const { return picked_up_.count(mark) != 0; }
    void forget_picked_up(const std::string& mark) { picked_up_.erase(mark); }

    // Queue-id numbers.
    uint64_t take_numbers(uint32_t count);

    // Writes what put_back() and remove() left to do into the index. With `active`, also all of these and a checkpoint: nothing before
    // GroupCommit::applied() is needed for a restart then.
    Expected<void> flush_index(const std::vector<const StoredMessage*>* active = nullptr);
    bool index_dirty() const { return !put_back_.empty() || !erased_.empty(); }
    // The journal's reserve was used up; it is made again between two writes, when there is room.
    bool wants_reserve() const { return journal_.wants_reserve(); }
    void want_reserve() { commits_.request_pause(); }
    void reserve_index() const { index_->reserve(); }
    uint64_t journal_since_checkpoint() const;

    // Copies what still lives in the oldest segment forward when half of the journal is dead. `active` finds messages in memory.
    void reclaim(const std::function<StoredMessage*(const std::string&)>& active);

    GroupCommit& commits() { return commits_; }
    Journal& journal() { return journal_; }
    Files& files() { return files_; }

  private:
    Expected<void> replay();
    Expected<void> drop_orphans();
    void remove_dead_segments();
    void count(const StoredMessage& message, int sign);
    static uint64_t weight(const StoredMessage& message) { return message.inline_length + 1024; }

    Files& files_;
    StoreOptions options_;
    std::string large_directory_;
    Journal journal_;
    JournalReader reader_;
    GroupCommit commits_;
    std::unique_ptr<Index> index_;
    std::map<uint32_t, int64_t> living_;   // messages whose text lies in a segment
    uint64_t living_bytes_ = 0;
    // With the number of the last record that they speak of: the index may not know more than the journal, or a bounce would be lost whose
    // message is gone already.
    struct PutBack {
        StoredMessage message;
        uint64_t after = 0;
    };
    std::unordered_map<std::string, PutBack> put_back_;
    std::unordered_map<std::string, uint64_t> erased_;
    std::unordered_map<std::string, std::string> picked_up_;
    std::unordered_set<std::string> opening_;   // large files that no accepted message owns yet
    uint64_t next_number_ = 0x1000;
    uint64_t high_water_ = 0x1000;
    bool reclaiming_ = false;
    unsigned reclaim_later_ = 0;   // calls to skip after one that failed
};

}   // namespace postcot::queued
