// The queue index: LMDB tables derived from the journal, so that a million deferred messages cost disk and not memory. Opened without syncs: after
// a power loss (another boot id) it is thrown away and the whole journal replayed; after a crash of the process alone, from the stored checkpoint.
//
//   message   id                      -> StoredMessage without text
//   due       next attempt (be64), id -> ""          waits for its time; neither held nor active
//   active    id                      -> ""          was in the scheduler's memory when last written: due at once after a start
//   hold      id                      -> ""
//   site      domain NUL id           -> ""          pending recipients' domains, of what is deferred: flush by site
//   meta      "checkpoint", "boot"
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "queued/journal/journal.h"
#include "queued/journal/records.h"

struct MDB_txn;

namespace postcot::queued {

class Index {
  public:
    ~Index();

    // Opens or makes the environment in `directory`. It is emptied first when it belongs to another boot of the host or another layout.
    static Expected<std::unique_ptr<Index>> open(const std::string& directory, uint64_t map_size,
                                                 const std::string& boot_id);

    // The journal is reflected up to here.
    Position checkpoint() const { return checkpoint_; }
    // Queue-id numbers below this had been given away at the checkpoint.
    uint64_t numbers() const { return numbers_; }

    enum class Place { kDue, kActive, kHold };

    // All changes of one batch appear together, and with them the checkpoint.
    class Batch {
      public:
        explicit Batch(Index& index);
        ~Batch();   // aborts when not committed
        Batch(const Batch&) = delete;
        Batch& operator=(const Batch&) = delete;
        void put(const StoredMessage& message, Place place);
        void erase(const std::string& id);
        // Moves an id between the due, active and hold tables only.
        void move(const std::string& id, Place place, int64_t next_attempt);
        std::optional<StoredMessage> get(const std::string& id);
        void set_checkpoint(Position position, uint64_t numbers);
        Expected<void> commit();

      private:
        void take_out(const StoredMessage& old);
        void check(int rc);
        Index& index_;
        MDB_txn* txn_ = nullptr;
        int error_ = 0;
        std::optional<Position> checkpoint_;
    };

    std::optional<StoredMessage> get(const std::string& id) const;
    std::optional<Place> place(const std::string& id) const;
    // Ids whose time has come, oldest first, at most `limit`.
    std::vector<std::string> due(int64_t now, size_t limit) const;
    // Ids whose time is later than `when`.
    std::vector<std::string> due_after(int64_t when, size_t limit) const;
    std::vector<std::string> active(size_t limit) const;
    // Ids with a pending recipient at the site.
    std::vector<std::string> site(std::string_view domain, size_t limit) const;
    // Up to `limit` ids after `after`, in order, with their place.
    struct Entry {
        StoredMessage message;
        Place place;
    };
    std::vector<Entry> list(const std::string& after, size_t limit) const;
    uint64_t size() const;
    // Gives the file some MiB ahead, so that changes go on for a while on a full disk. Does what it can.
    void reserve() const;
    // Calls for every message: at start, to count what lives in each segment.
    void each(const std::function<void(const StoredMessage&)>& visit) const;

  private:
    Index() = default;
    struct Impl;
    std::unique_ptr<Impl> impl_;
    Position checkpoint_;
    uint64_t numbers_ = 0;
};

// Domains of the recipients that are still to be delivered, in lower case.
std::set<std::string> pending_domains(const StoredMessage& message);

std::string current_boot_id();

}   // namespace postcot::queued
