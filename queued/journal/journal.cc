#include "queued/journal/journal.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "libproto/runtime/log.h"
#include "queued/journal/segment.h"

namespace postcot::queued {

namespace {

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

Journal::Journal(Files& files, std::string directory, std::string corrupt_directory, uint64_t segment_size)
    : files_(files),
      directory_(std::move(directory)),
      corrupt_directory_(std::move(corrupt_directory)),
      segment_size_(segment_size) {}

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
    const std::string path = segment_path(number);
    auto file = files_.open(path, Open::kRead);
    if (!file) return fail(file.error());
    bool bad = false;
    SegmentVisitor segment;
    segment.record = [&](uint64_t offset, std::string_view payload, unsigned format) {
        if (visit(Position{number, offset}, payload, format)) return;
        log::error("queue journal {}: the record at {} is not understood", path, offset);
        bad = true;
    };
    segment.damage = [&](const Damage& damage) {
        log::error("queue journal {}: {}: octets {} to {} are passed over", path, damage.why, damage.from, damage.to);
        bad = true;
    };
    segment.torn = [&](uint64_t at) { log::info("queue journal {}: ends in an unfinished record at {}", path, at); };
    if (auto read = read_segment(**file, number, from, segment); !read) return read;
    if (bad) set_aside(number);
    return {};
}

// The segment stays where it is, too: what can be read of it counts.
void Journal::set_aside(uint32_t number) {
    damaged_ = true;
    const std::string copy = fmt::format("{}/journal-{:08x}.seg", corrupt_directory_, number);
    if (files_.exists(copy)) return;
    if (!files_.exists(corrupt_directory_)) (void)files_.mkdir(corrupt_directory_, 0700);
    auto kept = files_.link(segment_path(number), copy);
    if (kept) kept = files_.sync_dir(corrupt_directory_);
    if (kept) {
        log::error("queue journal {}: kept as {}", segment_path(number), copy);
    } else {
        log::error("queue journal {}: cannot be kept as {}: {}", segment_path(number), copy, kept.error().text);
    }
}

Expected<void> Journal::start_segment() {
    // Order between segments is order in time: the old one is whole on disk before the new one exists.
    if (file_ && synced_size_ < current_size_) {
        if (auto synced = file_->sync_data(); !synced) return synced;
        synced_size_ = current_size_;
    }
    uint32_t number = sizes_.empty() ? 1 : sizes_.rbegin()->first + 1;
    auto file = files_.open(segment_path(number), Open::kCreateNew, 0600);
    if (!file) return fail(file.error());
    std::string head = segment_header(number);
    if (preamble) {
        std::string payload = preamble();
        if (!payload.empty()) append_record(head, payload, 0);
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
    current_size_ = synced_size_ = head.size();
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
        positions.push_back(Position{current_, current_size_ + out.size() + kRecordHeader});
        append_record(out, payload, synced_size_);
    }
    auto done = file_->append(out);
    if (!done && file_->truncate(current_size_)) return done;   // no room: cut off as if it had never been there
    if (done && sync) done = file_->sync_data();
    if (!done) {
        // What of it reached the disk is unknown: cut it off if that works, and never write behind it.
        (void)file_->truncate(current_size_);
        (void)file_->sync_data();
        file_.reset();
        return done;
    }
    current_size_ += out.size();
    if (sync) synced_size_ = current_size_;
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
