// The queue's truth on disk: append-only segment files under $queue_directory/journal, named by their number in hex ("00000012.seg").
// Synchronous and single-threaded: GroupCommit decides when and on which thread it writes.
//
// A segment is "PCTQSEG1" and its number (u32, and u32 zero), then records: u32 length of the payload, u32 CRC-32C of the payload, payload.
// A reader stops at the first record that is cut off or whose checksum is wrong: that is a torn tail, of which nothing was ever acknowledged. After a start and
// after a failed write, writing goes on in a new segment.
//
// Segments are unlinked from the oldest on, and only when no message whose text lies there is alive: state of a message is never older than its text.
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
    static constexpr size_t kRecordHeader = 8;
    static constexpr size_t kSegmentHeader = 16;
    static constexpr uint64_t kDefaultSegmentSize = 64 << 20;
    static constexpr uint32_t kMaxRecord = 64 << 20;

    Journal(Files& files, std::string directory, uint64_t segment_size = kDefaultSegmentSize);

    // Finds the segments (making the folder if need be).
    Expected<void> open();

    // Every whole record at or after `from`, in order; `at` is where its payload begins. Before the first write().
    using Visitor = std::function<void(Position at, std::string_view payload)>;
    Expected<void> replay(Position from, const Visitor& visit);

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
    Expected<void> replay_segment(uint32_t number, uint64_t from, const Visitor& visit);

    Files& files_;
    std::string directory_;
    uint64_t segment_size_;
    std::map<uint32_t, uint64_t> sizes_;   // every segment, the current one included
    uint32_t current_ = 0;
    uint64_t current_size_ = 0;
    std::unique_ptr<File> file_;           // of the current segment; null until the first write
    bool unsynced_ = false;
    bool reserve_ = false;
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
