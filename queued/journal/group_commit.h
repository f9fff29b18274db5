// Decides when the journal is written: what arrives while one fdatasync runs is written and synced by the next one. So the disk waits once for any
// number of messages, and an idle queue answers after one sync.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/files.h"
#include "libproto/runtime/loop.h"
#include "queued/journal/journal.h"

namespace postcot::queued {

class GroupCommit {
  public:
    struct Item {
        std::string record;                              // payload
        bool durable = false;                            // `done` waits for the disk; else only for the write
        std::vector<std::shared_ptr<File>> sync_first;   // message files the record speaks of
        std::function<void(Expected<Position>)> done;    // on the loop; may be empty
    };

    // `large_directory` is synced, too, when an item brings files.
    GroupCommit(Files& files, Journal& journal, std::string large_directory);

    void add(Item item);
    // Runs until stop(); then what was added is still written.
    Task<void> run();
    void stop();

    // All records before this are written and their `done` has been called.
    Position applied() const { return applied_; }
    void set_applied(Position position) { applied_ = position; }

    // Called between two writes, when nothing touches the journal: removes segments. Asked for by request_pause().
    std::function<void()> on_pause;
    void request_pause();

    struct Statistics {
        uint64_t groups = 0;
        uint64_t records = 0;
        uint64_t synced_groups = 0;
    };
    const Statistics& statistics() const { return statistics_; }

    // One group, synchronously: what run() does on the thread pool. Exposed for tests.
    static Expected<void> commit(Files& files, Journal& journal, const std::string& large_directory, std::vector<Item>& items,
                                 std::vector<Position>& positions);

  private:
    static constexpr size_t kMaxGroupBytes = 8 << 20;

    Files& files_;
    Journal& journal_;
    std::string large_directory_;
    std::vector<Item> waiting_;
    Event work_;
    bool stopping_ = false;
    bool pause_wanted_ = false;
    Position applied_;
    Statistics statistics_;
};

}   // namespace postcot::queued
