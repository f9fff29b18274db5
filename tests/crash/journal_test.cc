// The queue on a disk that stops at every possible operation: each acknowledged message is there afterwards, whole and once, and what was
// finished does not come back after kill -9.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <set>

#include "libproto/runtime/loop.h"
#include "queued/journal/segment.h"
#include "queued/store/store.h"
#include "tests/crash/sim_files.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;

namespace {

constexpr uint64_t kSmallSegment = 1500;   // several segments in a short story

StoreOptions options_for(const std::string& index, const std::string& boot) {
    StoreOptions options;
    options.directory = "/queue";
    options.segment_size = kSmallSegment;
    options.index_directory = index;
    options.index_map_size = 1 << 20;
    options.reserve_size = 1024;
    options.boot_id = boot;
    return options;
}

struct Truth {
    std::map<std::string, std::string> acknowledged;   // id -> text
    std::set<std::string> leaving;                     // removal was asked for
    std::set<std::string> gone;                        // ... and the journal has it (no power loss)
    std::map<std::string, RecipientStatus> first;      // durable results of recipient 0
};

std::string text_of(const std::string& id, size_t size) {
    std::string text = "Subject: " + id + "\n\n";
    while (text.size() < size) text += id + "\n";
    return text;
}

StoredMessage message_of(const std::string& id) {
    StoredMessage message;
    message.id = id;
    message.envelope.sender = "a@example.com";
    for (const char* to : {"b@example.com", "c@example.com"}) {
        Recipient recipient;
        recipient.address = to;
        message.envelope.recipients.push_back(recipient);
        message.states.emplace_back();
    }
    return message;
}

// Writes what waits, as GroupCommit does on a running loop.
void settle(Store& store) {
    Loop loop;
    store.commits().stop();
    loop.run_until_complete(store.commits().run());
}

void accept(Store& store, Truth& truth, std::map<std::string, StoredMessage>& live, const std::string& id,
            size_t size) {
    std::string text = text_of(id, size);
    store.accept(message_of(id), text, {}, [&truth, &live, id, text](Expected<StoredMessage> done) {
        if (!done) return;
        truth.acknowledged[id] = text;
        live[id] = *done;
    });
}

void accept_large(Store& store, Truth& truth, std::map<std::string, StoredMessage>& live, const std::string& id) {
    std::string text = text_of(id, 3000);
    auto file = store.create_large(id);
    if (!file) return;
    std::shared_ptr<File> shared = std::move(*file);
    if (!shared->append(text)) return;
    auto message = message_of(id);
    message.large = true;
    message.large_length = text.size();
    store.accept(std::move(message), "", {shared}, [&truth, &live, id, text](Expected<StoredMessage> done) {
        if (!done) return;
        truth.acknowledged[id] = text;
        live[id] = *done;
    });
}

void remove(Store& store, Truth& truth, std::map<std::string, StoredMessage>& live, const std::string& id) {
    auto found = live.find(id);
    if (found == live.end()) return;
    truth.leaving.insert(id);
    StoredMessage message = found->second;
    live.erase(found);
    store.record(
        {}, {}, false,
        [&truth, id](Expected<std::vector<StoredMessage>> done) {
            if (done) truth.gone.insert(id);
        },
        &message);
}

void checkpoint(Store& store, std::map<std::string, StoredMessage>& live) {
    if (store.commits().gave_up()) return;
    std::vector<const StoredMessage*> all;
    for (auto& [id, message] : live) all.push_back(&message);
    (void)store.flush_index(&all);
}

// A story with groups, rotation, results, removals, a large file, a checkpoint, segments that die and one that is copied forward.
void story(SimFiles& disk, const std::string& index, Truth& truth) {
    Store store(disk, options_for(index, "boot"));
    if (!store.open()) return;
    std::map<std::string, StoredMessage> live;
    auto active = [&](const std::string& id) -> StoredMessage* {
        auto found = live.find(id);
        return found == live.end() ? nullptr : &found->second;
    };
    store.take_numbers(10);
    accept(store, truth, live, "AAAAA1", 200);
    settle(store);
    accept(store, truth, live, "AAAAA2", 400);
    accept(store, truth, live, "AAAAA3", 700);
    accept_large(store, truth, live, "AAAAA4");
    settle(store);
    if (live.count("AAAAA1")) {
        OpResult op{"AAAAA1", 0, {}};
        op.state.status = RecipientStatus::kDone;
        store.record({op}, {}, true, [&truth](Expected<std::vector<StoredMessage>> done) {
            if (done) truth.first["AAAAA1"] = RecipientStatus::kDone;
        });
        queued::apply(op, live["AAAAA1"]);
    }
    remove(store, truth, live, "AAAAA2");
    accept(store, truth, live, "AAAAA5", 900);
    settle(store);
    checkpoint(store, live);
    remove(store, truth, live, "AAAAA3");
    remove(store, truth, live, "AAAAA4");
    settle(store);   // alone: no new mail brings a sync with it
    for (int i = 0; i < 4; ++i) {
        std::string id = "BBBBB" + std::to_string(i);
        accept(store, truth, live, id, 1200);
        settle(store);
        if (i < 3) remove(store, truth, live, id);
    }
    settle(store);
    checkpoint(store, live);
    store.reclaim(active);   // AAAAA1 is all that lives in the oldest segment
    settle(store);
    checkpoint(store, live);
    store.commits().request_pause();
    settle(store);
    accept(store, truth, live, "CCCCC1", 100);
    settle(store);
}

// The disk fills. New mail is refused; what became of old mail is written into the reserve; then there is room again.
void story_of_a_full_disk(SimFiles& disk, const std::string& index, Truth& truth, size_t& refused) {
    refused = 0;
    Store store(disk, options_for(index, "boot"));
    if (!store.open()) return;
    std::map<std::string, StoredMessage> live;
    store.take_numbers(10);
    accept(store, truth, live, "AAAAA1", 200);
    accept(store, truth, live, "AAAAA2", 300);
    settle(store);
    checkpoint(store, live);
    disk.set_room(150);
    auto try_to_accept = [&](const std::string& id, size_t size) {
        std::string text = text_of(id, size);
        store.accept(message_of(id), text, {}, [&, id, text](Expected<StoredMessage> done) {
            if (!done) {
                ++refused;
                return;
            }
            truth.acknowledged[id] = text;
            live[id] = *done;
        });
    };
    // One group: a result, new mail that does not fit, a bounce in the place of a message.
    if (live.count("AAAAA1")) {
        OpResult op{"AAAAA1", 0, {}};
        op.state.status = RecipientStatus::kDone;
        queued::apply(op, live["AAAAA1"]);
        store.record({op}, {}, true, [&truth](Expected<std::vector<StoredMessage>> done) {
            if (done) truth.first["AAAAA1"] = RecipientStatus::kDone;
        });
    }
    try_to_accept("AAAAA3", 700);
    if (auto found = live.find("AAAAA2"); found != live.end()) {
        StoredMessage message = found->second;
        live.erase(found);
        truth.leaving.insert(message.id);
        Store::Extra bounce{message_of("BBBBB1"), text_of("BBBBB1", 100), {}};
        store.record(
            {}, {bounce}, true,
            [&truth, &live](Expected<std::vector<StoredMessage>> done) {
                if (!done) return;
                truth.gone.insert("AAAAA2");
                truth.acknowledged["BBBBB1"] = text_of("BBBBB1", 100);
                live["BBBBB1"] = done->front();
            },
            &message);
        (void)store.flush_index();   // must not know more than the journal
    }
    settle(store);
    try_to_accept("AAAAA4", 900);
    settle(store);
    disk.set_room_unlimited();
    try_to_accept("AAAAA5", 1200);
    settle(store);
    store.want_reserve();
    settle(store);
    checkpoint(store, live);
    try_to_accept("AAAAA6", 100);
    settle(store);
}

std::string whole_text(Store& store, const StoredMessage& message) {
    auto head = store.read_head(message);
    if (!head) return "<" + head.error().text + ">";
    if (!message.large) return *head;
    auto file = store.open_large(message);
    if (!file) return "<" + file.error().text + ">";
    std::string text(message.large_length, '\0');
    auto n = (*file)->read_at(text.data(), text.size(), message.large_offset);
    return n && *n == text.size() ? *head + text : "<short>";
}

void verify(SimFiles& disk, const std::string& index, const std::string& boot, const Truth& truth, bool power_lost) {
    Store store(disk, options_for(index, boot));
    auto opened = store.open();
    REQUIRE(opened);
    std::map<std::string, StoredMessage> found;
    for (auto& entry : store.list("", 1000)) {
        CHECK(found.count(entry.message.id) == 0);
        found[entry.message.id] = entry.message;
    }
    for (const auto& [id, text] : truth.acknowledged) {
        INFO(id);
        bool there = found.count(id) != 0;
        if (!truth.leaving.count(id)) {
            REQUIRE(there);
            CHECK(whole_text(store, found[id]) == text);
        }
        if (!power_lost && truth.gone.count(id)) CHECK_FALSE(there);
        // A message that came back was to leave: its text came back with it.
        if (there) CHECK(whole_text(store, found[id]) == text);
    }
    for (const auto& [id, status] : truth.first) {
        if (found.count(id)) CHECK(found[id].states[0].status == status);
    }
    // Numbers are never given twice.
    if (!truth.acknowledged.empty()) CHECK(store.take_numbers(1) >= 0x1000 + 10);
}

}   // namespace

TEST_CASE("a message that was acknowledged survives a crash at any point, once") {
    namespace fs = std::filesystem;
    fs::path base = fs::temp_directory_path() / ("crash-journal-" + std::to_string(::getpid()));
    fs::remove_all(base);
    fs::create_directories(base);
    Truth truth;
    int run = 0;
    auto prepare = [&](SimFiles& disk) {
        REQUIRE(disk.mkdir("/queue"));
        disk.sync_everything();
    };
    auto work = [&](SimFiles& disk) {
        truth = Truth{};
        fs::path index = base / "index";
        fs::remove_all(index);
        ++run;
        story(disk, index.string(), truth);
    };
    auto check = [&](SimFiles& survivor, uint64_t operations, Loss loss) {
        INFO("after " << operations << " operations, loss " << static_cast<int>(loss));
        fs::path copy = base / "survivor";
        fs::remove_all(copy);
        if (loss == Loss::kNothing && fs::exists(base / "index")) {
            fs::copy(base / "index", copy, fs::copy_options::recursive);
            verify(survivor, copy.string(), "boot", truth, false);   // kill -9: the index is as it was left
        } else {
            verify(survivor, copy.string(), "next boot", truth, true);
        }
    };
    uint64_t disks = for_each_crash(prepare, work, check, 2);
    CHECK(disks > 100);
    CHECK(truth.acknowledged.size() == 10);   // the last run was not stopped
    fs::remove_all(base);
}

TEST_CASE("a full disk refuses new mail and loses nothing, wherever the power fails") {
    namespace fs = std::filesystem;
    fs::path base = fs::temp_directory_path() / ("crash-full-" + std::to_string(::getpid()));
    fs::remove_all(base);
    fs::create_directories(base);
    Truth truth;
    size_t refused = 0;
    auto prepare = [&](SimFiles& disk) {
        REQUIRE(disk.mkdir("/queue"));
        disk.sync_everything();
    };
    auto work = [&](SimFiles& disk) {
        truth = Truth{};
        fs::remove_all(base / "index");
        story_of_a_full_disk(disk, (base / "index").string(), truth, refused);
    };
    auto check = [&](SimFiles& survivor, uint64_t operations, Loss loss) {
        INFO("after " << operations << " operations, loss " << static_cast<int>(loss));
        fs::path copy = base / "survivor";
        fs::remove_all(copy);
        const bool killed = loss == Loss::kNothing && fs::exists(base / "index");
        if (killed) fs::copy(base / "index", copy, fs::copy_options::recursive);
        // A message that was to leave is there, or the bounce is in its place.
        {
            Store store(survivor, options_for(copy.string(), killed ? "boot" : "next boot"));
            REQUIRE(store.open());
            if (truth.leaving.count("AAAAA2")) CHECK(store.exists("AAAAA2") != store.exists("BBBBB1"));
        }
        verify(survivor, copy.string(), killed ? "boot" : "next boot", truth, !killed);
    };
    uint64_t disks = for_each_crash(prepare, work, check, 2);
    CHECK(disks > 50);
    CHECK(refused == 2);   // of the last run, which was not stopped
    CHECK(truth.first.size() == 1);
    CHECK(truth.acknowledged.size() == 5);
    fs::remove_all(base);
}

TEST_CASE("an index that is full keeps nothing from its owner") {
    namespace fs = std::filesystem;
    fs::path base = fs::temp_directory_path() / ("index-full-" + std::to_string(::getpid()));
    fs::remove_all(base);
    fs::create_directories(base);
    SimFiles disk;
    REQUIRE(disk.mkdir("/queue"));
    constexpr size_t kCount = 400;
    Truth truth;
    {
        StoreOptions options = options_for((base / "small").string(), "boot");
        options.index_map_size = 128 << 10;
        Store store(disk, options);
        REQUIRE(store.open());
        std::map<std::string, StoredMessage> live;
        store.take_numbers(10);
        for (size_t i = 0; i < kCount; ++i) accept(store, truth, live, "AAAA" + std::to_string(10000 + i), 50);
        settle(store);
        REQUIRE(live.size() == kCount);
        for (auto& [id, message] : live) store.put_back(message);
        auto flushed = store.flush_index();
        REQUIRE_FALSE(flushed);
        CHECK(flushed.error().code == ENOSPC);
        CHECK(store.list("", 1000).size() == kCount);   // from memory
        CHECK(store.find(live.begin()->first));
        CHECK(store.make_all_due(5) == 0);
    }
    verify(disk, (base / "large").string(), "next boot", truth, true);
    fs::remove_all(base);
}

TEST_CASE("a torn record ends a segment and hides nothing that was whole") {
    SimFiles disk;
    Journal journal(disk, "/journal", "/corrupt", 1 << 20);
    REQUIRE(journal.open());
    std::vector<Position> at;
    REQUIRE(journal.write({"first", "second"}, true, at));
    auto file = disk.open(journal.segment_path(at[0].segment), Open::kReadWrite);
    REQUIRE(file);
    std::string whole(static_cast<size_t>((*file)->size().value()), '\0');
    REQUIRE((*file)->read_at(whole.data(), whole.size(), 0));
    for (size_t cut = 0; cut < whole.size(); ++cut) {
        SimFiles other;
        REQUIRE(other.mkdir("/journal"));
        auto copy = other.open("/journal/00000001.seg", Open::kCreateNew);
        std::string damaged = whole.substr(0, cut);
        if (cut % 3 == 0) damaged += std::string(64, '\xFF');
        REQUIRE((*copy)->append(damaged));
        Journal replayed(other, "/journal", "/corrupt", 1 << 20);
        REQUIRE(replayed.open());
        std::vector<std::string> seen;
        REQUIRE(replayed.replay({}, [&](Position, std::string_view payload, unsigned) {
            seen.emplace_back(payload);
            return true;
        }));
        size_t first_end = kSegmentHeader + kRecordHeader + 5;
        CHECK(seen.size() == (cut >= first_end ? 1 : 0));
        std::vector<Position> again;
        REQUIRE(replayed.write({"third"}, true, again));   // goes on in a segment of its own
        CHECK(again[0].segment == 2);
    }
}
