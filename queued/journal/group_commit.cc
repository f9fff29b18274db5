#include "queued/journal/group_commit.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "libproto/runtime/log.h"

namespace postcot::queued {

GroupCommit::GroupCommit(Files& files, Journal& journal, std::string large_directory)
    : files_(files), journal_(journal), large_directory_(std::move(large_directory)) {}

uint64_t GroupCommit::add(Item item) {
    waiting_.push_back(Waiting{std::move(item), ++last_added_});
    work_.set();
    return last_added_;
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
    auto written = journal.write(payloads, durable, positions);
    if (!written) {
        for (size_t i = 0; i < items.size(); ++i) items[i].record = std::move(payloads[i]);
    }
    return written;
}

Task<Expected<void>> GroupCommit::write(std::vector<Item>& items, std::vector<Position>& positions) {
    bool durable = std::any_of(items.begin(), items.end(), [](const Item& item) { return item.durable; });
    auto* group = &items;
    auto* places = &positions;
    Expected<void> written;
    if (durable) {
        written = co_await blocking([this, group, places] { return commit(files_, journal_, large_directory_, *group, *places); });
        ++statistics_.synced_groups;
    } else {
        written = commit(files_, journal_, large_directory_, items, positions);   // page cache only: no wait
    }
    ++statistics_.groups;
    statistics_.records += items.size();
    co_return written;
}

Task<void> GroupCommit::write_group() {
    size_t count = 0;
    size_t bytes = 0;
    while (count < waiting_.size() && bytes < kMaxGroupBytes) bytes += waiting_[count++].item.record.size();
    std::vector<Item> group;
    std::vector<uint64_t> numbers;
    for (size_t i = 0; i < count; ++i) {
        group.push_back(std::move(waiting_[i].item));
        numbers.push_back(waiting_[i].number);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));

    std::vector<Position> positions;
    auto written = co_await write(group, positions);
    std::vector<Item> refused;
    if (!written) {
        if (!blocked_) log::error("queue journal: {}", written.error().text);
        std::vector<Item> kept;
        std::vector<uint64_t> kept_numbers;
        for (size_t i = 0; i < group.size(); ++i) {
            if (group[i].refusable) {
                refused.push_back(std::move(group[i]));
            } else {
                kept.push_back(std::move(group[i]));
                kept_numbers.push_back(numbers[i]);
            }
        }
        group = std::move(kept);
        numbers = std::move(kept_numbers);
        const Error why = written.error();
        if (!group.empty()) {
            // Without the new mail it may fit, and the reserve is for this.
            if (!refused.empty()) written = co_await write(group, positions);
            if (!written && journal_.release_reserve()) written = co_await write(group, positions);
        } else {
            written = Expected<void>{};
        }
        for (auto& item : refused) {
            if (item.done) item.done(fail(why));
        }
    }
    const bool was_blocked = blocked_;
    blocked_ = !written;
    if (written) {
        for (size_t i = 0; i < group.size(); ++i) {
            if (group[i].done) group[i].done(positions[i]);
        }
    } else {
        if (!was_blocked && !stopping_) log::warning("queue journal: no room for what became of {} messages: no delivery begins until there is", group.size());
        std::vector<Waiting> again;
        for (size_t i = 0; i < group.size(); ++i) again.push_back(Waiting{std::move(group[i]), numbers[i]});
        waiting_.insert(waiting_.begin(), std::make_move_iterator(again.begin()), std::make_move_iterator(again.end()));
    }
    if (blocked_ && stopping_) {
        give_up(written.error());
        co_return;
    }
    applied_ = journal_.end();
    settled_ = waiting_.empty() ? last_added_ : waiting_.front().number - 1;
    if (was_blocked && !blocked_) log::info("queue journal: written again");
    if (on_settled) on_settled();
}

void GroupCommit::give_up(const Error& error) {
    gave_up_ = true;
    auto rest = std::move(waiting_);
    waiting_.clear();
    for (auto& one : rest) {
        if (one.item.done) one.item.done(fail(error));
    }
}

Task<void> GroupCommit::run() {
    for (;;) {
        if (gave_up_) {   // what comes now is for the next start to find out
            give_up(Error{EIO, {}, "queue journal is closed"});
            if (waiting_.empty()) co_return;
            continue;
        }
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
        co_await write_group();
        if (blocked_ && !stopping_) {
            work_.reset();
            auto woken = co_await work_.wait(kTryAgain);
            if (!woken && woken.error().code != ETIMEDOUT) co_return;
        }
    }
}

}   // namespace postcot::queued
