#include "queued/journal/journal.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "libproto/runtime/log.h"
#include "queued/journal/crc32c.h"

namespace postcot::queued {

namespace {

constexpr std::string_view kMagic = "PCTQSEG1";

void put_u32(std::string& out, uint32_t v) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(v >> shift));
}

uint32_t get_u32(const char* p) {
    uint32_t v = 0;
    for (int i = 3; i >= 0; --i) v = (v << 8) | static_cast<uint8_t>(p[i]);
    return v;
}

// False on a short file.
Expected<bool> read_full(File& file, char* buffer, size_t length, uint64_t offset) {
    while (length > 0) {
        auto n = file.read_at(buffer, length, offset);
        if (!n) return fail(n.error());
        if (*n == 0) return false;
        buffer += *n;
        length -= *n;
        offset += *n;
    }
    return true;
}

}   // namespace

Journal::Journal(Files& files, std::string directory, uint64_t segment_size)
    : files_(files), directory_(std::move(directory)), segment_size_(segment_size) {}

std::string Journal::segment_path(uint32_t number) const { return fmt::format("{}/{:08x}.seg", directory_, number); }

Expected<void> Journal::open() {
    if (!files_.exists(directory_)) {
        auto made = files_.mkdir(directory_, 0700);
        if (!made) return made;
        auto parent = directory_.substr(0, directory_.rfind('/'));
        if (auto synced = files_.sync_dir(parent.empty() ? "/" : parent); !synced) return synced;
    }
    auto names = files_.list(directory_);
    if (!names) return fail(names.error());
    sizes_.clear();
    for (const auto& name : *names) {
        if (name.size() != 12 || name.substr(8) != ".seg") continue;
        uint32_t number = 0;
        auto parsed = std::from_chars(name.data(), name.data() + 8, number, 16);
        if (parsed.ec != std::errc{} || parsed.ptr != name.data() + 8) continue;
        auto st = files_.stat(directory_ + "/" + name);
        if (!st) return fail(st.error());
        sizes_[number] = static_cast<uint64_t>(st->st_size);
    }
    current_ = sizes_.empty() ? 0 : sizes_.rbegin()->first;
    current_size_ = sizes_.empty() ? 0 : sizes_.rbegin()->second;
    file_.reset();
    return {};
}

Expected<void> Journal::replay(Position from, const Visitor& visit) {
    for (const auto& [number, size] : sizes_) {
        if (number < from.segment) continue;
        auto read = replay_segment(number, number == from.segment ? from.offset : 0, visit);
        if (!read) return read;
    }
    return {};
}

Expected<void> Journal::replay_segment(uint32_t number, uint64_t from, const Visitor& visit) {
    auto file = files_.open(segment_path(number), Open::kRead);
    if (!file) return fail(file.error());
    char head[kSegmentHeader];
    auto whole = read_full(**file, head, sizeof head, 0);
    if (!whole) return fail(whole.error());
    if (!*whole) return {};   // created, and power was lost before the first sync
    if (std::string_view(head, kMagic.size()) != kMagic || get_u32(head + 8) != number) {
        log::warning("queue journal {}: not a segment: ignored", segment_path(number));
        return {};
    }
    uint64_t offset = std::max<uint64_t>(from, kSegmentHeader);
    std::string payload;
    for (;;) {
        char record[kRecordHeader];
        whole = read_full(**file, record, sizeof record, offset);
        if (!whole) return fail(whole.error());
        if (!*whole) return {};
        uint32_t length = get_u32(record);
        if (length == 0 || length > kMaxRecord) break;
        payload.resize(length);
        whole = read_full(**file, payload.data(), length, offset + kRecordHeader);
        if (!whole) return fail(whole.error());
        if (!*whole || crc32c(payload) != get_u32(record + 4)) break;
        visit(Position{number, offset + kRecordHeader}, payload);
        offset += kRecordHeader + length;
    }
    log::info("queue journal {}: ends in an unfinished record at {}", segment_path(number), offset);
    return {};
}

Expected<void> Journal::start_segment() {
    // Order between segments is order in time: the old one is whole on disk before the new one exists.
    if (file_ && unsynced_) {
        if (auto synced = file_->sync_data(); !synced) return synced;
        unsynced_ = false;
    }
    uint32_t number = sizes_.empty() ? 1 : sizes_.rbegin()->first + 1;
    auto file = files_.open(segment_path(number), Open::kCreateNew, 0600);
    if (!file) return fail(file.error());
    std::string head(kMagic);
    put_u32(head, number);
    put_u32(head, 0);
    if (preamble) {
        std::string payload = preamble();
        if (!payload.empty()) {
            put_u32(head, static_cast<uint32_t>(payload.size()));
            put_u32(head, crc32c(payload));
            head += payload;
        }
    }
    auto written = (*file)->append(head);
    if (written) written = (*file)->sync_data();
    if (written) written = files_.sync_dir(directory_);
    if (!written) {
        (void)files_.unlink(segment_path(number));
        return written;
    }
    file_ = std::move(*file);
    current_ = number;
    current_size_ = head.size();
    sizes_[number] = current_size_;
    return {};
}

Expected<void> Journal::write(const std::vector<std::string>& payloads, bool sync, std::vector<Position>& positions) {
    if (!file_ || current_size_ >= segment_size_) {
        if (auto started = start_segment(); !started) return started;
    }
    std::string out;
    size_t total = 0;
    for (const auto& payload : payloads) total += payload.size() + kRecordHeader;
    out.reserve(total);
    positions.clear();
    for (const auto& payload : payloads) {
        put_u32(out, static_cast<uint32_t>(payload.size()));
        put_u32(out, crc32c(payload));
        positions.push_back(Position{current_, current_size_ + out.size()});
        out += payload;
    }
    auto done = file_->append(out);
    if (!done && file_->truncate(current_size_)) return done;   // no room: cut off as if it had never been there
    if (done) {
        unsynced_ = true;
        if (sync) {
            done = file_->sync_data();
            if (done) unsynced_ = false;
        }
    }
    if (!done) {
        // What of it reached the disk is unknown: cut it off if that works, and never write behind it.
        (void)file_->truncate(current_size_);
        (void)file_->sync_data();
        file_.reset();
        unsynced_ = false;
        return done;
    }
    current_size_ += out.size();
    sizes_[current_] = current_size_;
    return {};
}

void Journal::fill_reserve() {
    if (!wants_reserve()) return;
    const std::string path = directory_ + "/reserve";
    auto file = files_.open(path, Open::kReadWrite, 0600);
    if (!file) return;
    auto size = (*file)->size();
    Expected<void> filled;
    if (!size || *size < reserve_size) filled = (*file)->write_at(std::string(reserve_size, '\0'), 0);
    if (filled) {
        reserve_ = true;
    } else {
        (void)files_.unlink(path);
    }
}

bool Journal::release_reserve() {
    if (!reserve_) return false;
    reserve_ = false;
    return static_cast<bool>(files_.unlink(directory_ + "/reserve"));
}

uint64_t Journal::total_size() const {
    uint64_t total = 0;
    for (const auto& [number, size] : sizes_) total += size;
    return total;
}

Expected<void> Journal::remove_oldest() {
    if (sizes_.empty()) return {};
    uint32_t number = sizes_.begin()->first;
    if (file_ && number == current_) return fail(EBUSY, "the current segment cannot be removed");
    auto removed = files_.unlink(segment_path(number));
    if (!removed && removed.error().code != ENOENT) return removed;
    // Before the next one goes: a segment that came back after power loss would bring finished mail back if what finished it were gone.
    if (auto synced = files_.sync_dir(directory_); !synced) return synced;
    sizes_.erase(sizes_.begin());
    return {};
}

Expected<std::string> JournalReader::read(Position at, uint64_t length) {
    std::string out;
    if (length == 0) return out;
    auto found = open_.find(at.segment);
    if (found == open_.end()) {
        if (open_.size() >= 16) open_.erase(open_.begin());
        auto file = files_.open(journal_.segment_path(at.segment), Open::kRead);
        if (!file) return fail(file.error());
        found = open_.emplace(at.segment, std::move(*file)).first;
    }
    out.resize(length);
    auto whole = read_full(*found->second, out.data(), length, at.offset);
    if (!whole) return fail(whole.error());
    if (!*whole) return fail(EIO, "queue journal segment is shorter than its index says");
    return out;
}

}   // namespace postcot::queued
