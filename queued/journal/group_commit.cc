#include "queued/journal/group_commit.h"

#include <algorithm>
#include <iterator>

#include "libproto/runtime/log.h"

namespace postcot::queued {

GroupCommit::GroupCommit(Files& files, Journal& journal, std::string large_directory)
    : files_(files), journal_(journal), large_directory_(std::move(large_directory)) {}

void GroupCommit::add(Item item) {
    waiting_.push_back(std::move(item));
    work_.set();
}

void GroupCommit::stop() {
    stopping_ = true;
    work_.set();
}

void GroupCommit::request_pause() {
    pause_wanted_ = true;
    work_.set();
}

Expected<void> GroupCommit::commit(Files& files, Journal& journal, const std::string& large_directory, std::vector<Item>& items,
                                   std::vector<Position>& positions) {
    bool durable = false;
    bool any_files = false;
    for (auto& item : items) {
        durable = durable || item.durable;
        for (auto& file : item.sync_first) {
            any_files = true;
            if (auto synced = file->sync_data(); !synced) return synced;
        }
    }
    if (any_files) {
        if (auto synced = files.sync_dir(large_directory); !synced) return synced;
    }
    std::vector<std::string> payloads;
    payloads.reserve(items.size());
    for (auto& item : items) payloads.push_back(std::move(item.record));
    return journal.write(payloads, durable, positions);
}

Task<void> GroupCommit::run() {
    for (;;) {
        if (waiting_.empty() && !pause_wanted_) {
            if (stopping_) co_return;
            work_.reset();
            auto woken = co_await work_.wait();
            if (!woken) co_return;
            continue;
        }
        if (pause_wanted_) {
            pause_wanted_ = false;
            if (on_pause) on_pause();
            continue;
        }
        size_t count = 0;
        size_t bytes = 0;
        while (count < waiting_.size() && bytes < kMaxGroupBytes) bytes += waiting_[count++].record.size();
        std::vector<Item> group(std::make_move_iterator(waiting_.begin()),
                                std::make_move_iterator(waiting_.begin() + static_cast<std::ptrdiff_t>(count)));
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));

        bool durable = std::any_of(group.begin(), group.end(), [](const Item& item) { return item.durable; });
        std::vector<Position> positions;
        Expected<void> written;
        if (durable) {
            auto* items = &group;
            auto* places = &positions;
            written = co_await blocking([this, items, places] { return commit(files_, journal_, large_directory_, *items, *places); });
            ++statistics_.synced_groups;
        } else {
            written = commit(files_, journal_, large_directory_, group, positions);   // page cache only: no wait
        }
        ++statistics_.groups;
        statistics_.records += group.size();
        if (!written) log::error("queue journal: {}", written.error().text);
        for (size_t i = 0; i < group.size(); ++i) {
            if (!group[i].done) continue;
            if (written) {
                group[i].done(positions[i]);
            } else {
                group[i].done(fail(written.error()));
            }
        }
        applied_ = journal_.end();
    }
}

}   // namespace postcot::queued
