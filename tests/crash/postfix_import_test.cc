// A queue of Postfix's is taken over on a disk that stops at every possible operation: afterwards each message is there once, in our queue or still in
// Postfix's, and one that was delivered meanwhile does not come back.
#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>

#include "libproto/runtime/loop.h"
#include "queued/postfix_queue/import.h"
#include "tests/crash/queue_options.h"
#include "tests/crash/sim_files.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;
namespace pq = postcot::postfix_queue;

namespace {

std::string file_of(const std::string& subject, size_t size) {
    pq::Message message;
    message.arrival_seconds = 1600000000;
    message.arrival_microseconds = static_cast<uint32_t>(subject.size() * 1000);
    message.sender = subject + "@example.com";
    message.recipients.resize(2);
    message.recipients[0].address = "done@example.com";
    message.recipients[0].done = true;
    message.recipients[1].address = "to@example.com";
    pq::Composer composer(std::move(message));
    std::string out = composer.head() + composer.text("Subject: " + subject + "\n\n" + std::string(size, 'x') + "\n");
    out += composer.end();
    out.replace(0, composer.sizes().size(), composer.sizes());
    return out;
}

const std::map<std::string, std::pair<std::string, size_t>> kFiles = {
    {"deferred/3/3D703A7C10", {"first", 50}}, {"deferred/4/4532CA7C11", {"second", 400}},
    {"hold/5A32CA7C12", {"held", 10}},        {"active/6A32CA7C13", {"large", 140000}},
    {"incoming/6B32CA7C14", {"fresh", 10}},
};

void fill(SimFiles& disk) {
    for (const char* folder : {"", "/deferred", "/deferred/3", "/deferred/4", "/hold", "/active", "/incoming",
                               "/corrupt", "/defer", "/defer/3"}) {
        REQUIRE(disk.mkdir(std::string("/queue") + folder));
    }
    for (const auto& [path, what] : kFiles) {
        auto file = disk.open("/queue/" + path, Open::kCreateNew, 0700);
        REQUIRE(file);
        REQUIRE((*file)->append(file_of(what.first, what.second)));
    }
    auto damaged = disk.open("/queue/deferred/3/3DDDDDDDDD", Open::kCreateNew, 0700);
    REQUIRE((*damaged)->append(file_of("damaged", 5).substr(0, 200)));
    auto log = disk.open("/queue/defer/3/3D703A7C10", Open::kCreateNew, 0600);
    REQUIRE((*log)->append("\n<to@example.com>: try later\n\n"));
    disk.sync_everything();
}

void settle(Store& store) {
    Loop loop;
    store.commits().stop();
    loop.run_until_complete(store.commits().run());
}

// Takes all over, as queued does at its start. `deliver`: the first that is ready is delivered at once; its subject is put there when the journal has it.
void take_over(Store& store, std::set<std::string>* delivered) {
    std::map<std::string, StoredMessage> adopted;
    std::set<std::string> reserved;
    int fresh = 0;
    PostfixImport::Hooks hooks;
    hooks.reserve = [&](const std::string& id) { return !store.exists(id) && reserved.insert(id).second; };
    hooks.unreserve = [&](const std::string& id) { reserved.erase(id); };
    hooks.fresh_id = [&] { return "FFFFF" + std::to_string(++fresh); };
    hooks.adopted = [&](const StoredMessage& message) { adopted[message.id] = message; };
    hooks.ready = [&](StoredMessage message) {
        adopted.erase(message.id);
        if (!delivered || message.hold) return store.put_back(message);
        std::string sender = message.envelope.sender;
        store.record(
            {}, {}, true,
            [delivered, sender](Expected<std::vector<StoredMessage>> done) {
                if (done) delivered->insert(sender);
            },
            &message);
    };
    hooks.now = [] { return int64_t{1700000000}; };
    PostfixImport import(store, "/queue", "postfix/qmgr", hooks);
    import.recover();
    while (import.begin_batch()) {
        settle(store);
        std::vector<const StoredMessage*> all;
        for (const auto& [id, message] : adopted) all.push_back(&message);
        (void)store.flush_index(&all);   // a checkpoint at the worst of times
        import.finish();
        settle(store);
    }
}

std::string text_of(Store& store, const StoredMessage& message) {
    auto head = store.read_head(message);
    if (!head || !message.large) return head ? *head : "<" + head.error().text + ">";
    auto file = store.open_large(message);
    if (!file) return "<" + file.error().text + ">";
    std::string text(message.large_length, '\0');
    auto n = (*file)->read_at(text.data(), text.size(), message.large_offset);
    return n && *n == text.size() ? *head + text : "<short>";
}

void verify(SimFiles& disk, const std::string& index, const std::string& boot, const std::set<std::string>& delivered) {
    std::map<std::string, StoredMessage> found;
    Store store(disk, options_for(index, boot));
    REQUIRE(store.open());
    take_over(store, nullptr);
    (void)store.flush_index();
    for (auto& entry : store.list("", 100)) {
        INFO(entry.message.envelope.sender);
        CHECK(found.count(entry.message.envelope.sender) == 0);
        found[entry.message.envelope.sender] = entry.message;
    }
    for (const auto& [path, what] : kFiles) {
        INFO(path);
        CHECK_FALSE(disk.exists("/queue/" + path));
        const std::string sender = what.first + "@example.com";
        if (delivered.count(sender)) {
            CHECK(found.count(sender) == 0);
            continue;
        }
        auto there = found.find(sender);
        if (there == found.end()) continue;   // its delivery was under way; see below
        const StoredMessage& message = there->second;
        CHECK(message.id == path.substr(path.rfind('/') + 1));
        CHECK(message.hold == (what.first == "held"));
        REQUIRE(message.states.size() == 1);
        CHECK(message.envelope.recipients[0].address == "to@example.com");
        CHECK(text_of(store, message) == "Subject: " + what.first + "\n\n" + std::string(what.second, 'x') + "\n");
    }
    CHECK(disk.exists("/queue/corrupt/3DDDDDDDDD"));
    CHECK_FALSE(disk.exists("/queue/deferred/3/3DDDDDDDDD"));
    // Missing is only what the journal says was delivered, be that acknowledged or not.
    CHECK(found.count("held@example.com") == 1);
}

}   // namespace

TEST_CASE("each message of Postfix's queue is taken over once, wherever that is stopped") {
    namespace fs = std::filesystem;
    fs::path base = fs::temp_directory_path() / ("crash-import-" + std::to_string(::getpid()));
    fs::remove_all(base);
    fs::create_directories(base);
    for (bool deliver : {false, true}) {
        std::set<std::string> delivered;
        auto work = [&](SimFiles& disk) {
            delivered.clear();
            fs::remove_all(base / "index");
            Store store(disk, options_for((base / "index").string(), "boot"));
            if (!store.open()) return;
            take_over(store, deliver ? &delivered : nullptr);
        };
        auto check = [&](SimFiles& survivor, uint64_t operations, Loss loss) {
            INFO("after " << operations << " operations, loss " << static_cast<int>(loss));
            fs::path copy = base / "survivor";
            fs::remove_all(copy);
            bool power_lost = loss != Loss::kNothing;
            if (!power_lost && fs::exists(base / "index")) fs::copy(base / "index", copy, fs::copy_options::recursive);
            verify(survivor, copy.string(), power_lost ? "next boot" : "boot", delivered);
            if (!deliver) {
                Store store(survivor, options_for(copy.string(), power_lost ? "next boot" : "boot"));
                REQUIRE(store.open());
                CHECK(store.list("", 100).size() == kFiles.size());
            }
        };
        uint64_t disks = for_each_crash(fill, work, check, 2);
        CHECK(disks > 100);
        if (deliver) CHECK(delivered.size() == 4);
    }
    fs::remove_all(base);
}
