// The queue's truth on disk: append-only segment files under $queue_directory/journal, named by their number in hex ("00000012.seg", journal/segment.h).
// Synchronous and single-threaded: GroupCommit decides when and on which thread it writes.
//
// After a start and after a failed write, writing goes on in a new segment. Segments are unlinked from the oldest on, and only when no message whose text
// lies there is alive: state of a message is never older than its text. One that is damaged is kept a second time, as corrupt/journal-<number>.seg.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/files.h"

namespace postcot::queued {

struct Position {
    uint32_t segment = 0;
    uint64_t offset = 0;
    auto operator<=>(const Position&) const = default;
};

class Journal {
  public:
    static constexpr uint64_t kDefaultSegmentSize = 64 << 20;

    // Damaged segments are set aside in `corrupt_directory`.
    Journal(Files& files, std::string directory, std::string corrupt_directory,
            uint64_t segment_size = kDefaultSegmentSize);

    // Finds the segments (making the folder if need be).
    Expected<void> open();

    // Every whole record at or after `from`, in order; `at` is where its payload begins. False when it is not understood: its segment is set aside then, as one
    // that is damaged. Before the first write().
    using Visitor = std::function<bool(Position at, std::string_view payload, unsigned format)>;
    Expected<void> replay(Position from, const Visitor& visit);
    // Of one segment that is not written any more; on another object than the one that writes.
    Expected<void> replay_segment(uint32_t number, uint64_t from, const Visitor& visit);
    // Something of what was replayed could not be read: nothing may be thrown away for want of an owner.
    bool damaged() const { return damaged_; }

    // Appends the payloads as records, in order, and syncs if asked. positions[i] is where payload i begins. On an error nothing of it counts.
    Expected<void> write(const std::vector<std::string>& payloads, bool sync, std::vector<Position>& positions);

    // Where the next record will go.
    Position end() const { return {current_, current_size_}; }
    uint32_t oldest() const { return sizes_.empty() ? current_ : sizes_.begin()->first; }
    uint64_t total_size() const;
    size_t segment_count() const { return sizes_.size(); }

    Expected<void> remove_oldest();

    // Room kept for records that must be written on a full disk: a file of zeros, made when there is room and given up when there is none.
    uint64_t reserve_size = 0;   // octets; 0: none is kept
    void fill_reserve();
    bool release_reserve();   // false: there was none
    bool wants_reserve() const { return !reserve_ && reserve_size > 0; }

    std::string segment_path(uint32_t number) const;

    // What a new segment begins with (the numbers' high-water mark must survive its old segment).
    std::function<std::string()> preamble;

  private:
    Expected<void> start_segment();
    void set_aside(uint32_t number);

    Files& files_;
    std::string directory_;
    std::string corrupt_directory_;
    uint64_t segment_size_;
    std::map<uint32_t, uint64_t> sizes_;   // every segment, the current one included
    uint32_t current_ = 0;
    uint64_t current_size_ = 0;
    std::unique_ptr<File> file_;   // of the current segment; null until the first write
    uint64_t synced_size_ = 0;     // so much of it is on the disk
    bool reserve_ = false;
    bool damaged_ = false;
};

// Reads text out of segments, from the loop's thread, keeping a few of them open.
class JournalReader {
  public:
    JournalReader(Files& files, const Journal& journal) : files_(files), journal_(journal) {}
    Expected<std::string> read(Position at, uint64_t length);
    void forget(uint32_t segment) { open_.erase(segment); }

  private:
    Files& files_;
    const Journal& journal_;
    std::map<uint32_t, std::unique_ptr<File>> open_;
};

}   // namespace postcot::queued
