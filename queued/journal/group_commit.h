// Decides when the journal is written: what arrives while one fdatasync runs is written and synced by the next one. So the disk waits once for any
// number of messages, and an idle queue answers after one sync.
//
// A disk that cannot be written (full, mostly) refuses what may be refused: new mail, whose sender keeps it. Everything else says what became of mail that we
// have: it stays first in line and is tried again until it is written, with the journal's reserve if there is no other room.
#pragma once

#include <cstdint>
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
        bool refusable = false;                          // the caller can live with an error; else it is written some time
        std::vector<std::shared_ptr<File>> sync_first;   // message files the record speaks of
        std::function<void(Expected<Position>)> done;    // on the loop; may be empty. Errors of what is not refusable: at a stop only
    };

    // `large_directory` is synced, too, when an item brings files.
    GroupCommit(Files& files, Journal& journal, std::string large_directory);

    // Numbers the items from 1 on.
    uint64_t add(Item item);
    // All items up to this number are written (or refused), and their `done` has been called.
    uint64_t settled() const { return settled_; }
    uint64_t last_added() const { return last_added_; }
    // Something that must be written could not be: better begin nothing new.
    bool blocked() const { return blocked_; }
    // Stopped with something unwritten: the journal ends before it, and no checkpoint may say otherwise.
    bool gave_up() const { return gave_up_; }
    std::function<void()> on_settled;   // after each group
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

    // One group, synchronously: what run() does on the thread pool. On an error `items` are as they were. Exposed for tests.
    static Expected<void> commit(Files& files, Journal& journal, const std::string& large_directory, std::vector<Item>& items,
                                 std::vector<Position>& positions);

  private:
    static constexpr size_t kMaxGroupBytes = 8 << 20;
    static constexpr Millis kTryAgain{1000};

    struct Waiting {
        Item item;
        uint64_t number;
    };
    Task<Expected<void>> write(std::vector<Item>& items, std::vector<Position>& positions);
    Task<void> write_group();
    void give_up(const Error& error);

    Files& files_;
    Journal& journal_;
    std::string large_directory_;
    std::vector<Waiting> waiting_;
    uint64_t last_added_ = 0;
    uint64_t settled_ = 0;
    bool blocked_ = false;
    bool gave_up_ = false;
    Event work_;
    bool stopping_ = false;
    bool pause_wanted_ = false;
    Position applied_;
    Statistics statistics_;
};

}   // namespace postcot::queued
