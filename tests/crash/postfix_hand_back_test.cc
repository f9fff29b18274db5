// The queue is handed back to Postfix on a disk that stops at every possible operation. Afterwards each message is in one of the two queues, even if Postfix
// ran first and delivered all that it found.
#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>

#include "libproto/runtime/loop.h"
#include "queued/postfix_queue/hand_back.h"
#include "tests/crash/queue_options.h"
#include "tests/crash/sim_files.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;
namespace fs = std::filesystem;
namespace pq = postcot::postfix_queue;

namespace {

constexpr size_t kLarge = 3000;
const std::set<std::string> kSenders = {"AAAAA1@x.test", "AAAAA2@x.test", "AAAAA3@x.test", "AAAAA4@x.test"};

HandBackSettings settings() {
    HandBackSettings out;
    out.directory = "/queue";
    out.ident = "postfix/qmgr";
    return out;
}

// `body` with GroupCommit at work, as in the process.
Expected<void> with_commits(Store& store, const std::function<Task<Expected<void>>()>& body) {
    Loop loop;
    return loop.run_until_complete(
        [](Store& s, const std::function<Task<Expected<void>>()>& b) -> Task<Expected<void>> {
            Scope writer;
            writer.spawn(s.commits().run());
            auto result = co_await b();
            s.commits().stop();
            co_await writer.join();
            co_return result;
        }(store, body));
}

void fill(SimFiles& disk, const fs::path& index) {
    for (const char* folder : {"", "/handback", "/incoming", "/deferred", "/hold", "/defer", "/bounce", "/trace"}) {
        REQUIRE(disk.mkdir(std::string("/queue") + folder));
    }
    fs::remove_all(index);
    Store store(disk, options_for(index.string(), "boot"));
    REQUIRE(store.open());
    for (int i = 1; i <= 4; ++i) {
        StoredMessage message;
        message.id = "AAAAA" + std::to_string(i);
        message.envelope.sender = message.id + "@x.test";
        message.envelope.arrival_seconds = 1600000000 + i;
        message.envelope.recipients.resize(2);
        message.envelope.recipients[0].address = "waits@x.test";
        message.envelope.recipients[1].address = "done@x.test";
        message.states.resize(2);
        message.states[0].result.text = "try later";
        message.states[1].status = RecipientStatus::kDone;
        message.hold = i == 2;
        message.attempts = i == 3 ? 0 : 1;
        std::vector<std::shared_ptr<File>> files;
        std::string text = "Subject: x\n\ntext\n";
        if (i == 4) {
            std::shared_ptr<File> large = std::move(*store.create_large(message.id));
            REQUIRE(large->append(text + std::string(kLarge, 'x') + "\n"));
            message.large = true;
            message.large_length = text.size() + kLarge + 1;
            files.push_back(large);
            text.clear();
        }
        store.accept(message, text, std::move(files), [&store](Expected<StoredMessage> done) {
            REQUIRE(done);
            store.put_back(*done);
        });
    }
    REQUIRE(with_commits(store, []() -> Task<Expected<void>> { co_return Expected<void>{}; }));
    REQUIRE(store.flush_index());
    disk.sync_everything();
}

// Senders of the files that Postfix would find; they are whole, or this fails. With `deliver`, Postfix takes them away.
std::multiset<std::string> at_postfix(SimFiles& disk, const std::string& folder, bool deliver) {
    std::multiset<std::string> out;
    auto names = disk.list(folder);
    REQUIRE(names);
    for (const auto& name : *names) {
        const std::string path = folder + "/" + name;
        auto status = disk.stat(path);
        REQUIRE(status);
        if (S_ISDIR(status->st_mode)) {
            out.merge(at_postfix(disk, path, deliver));
            continue;
        }
        CHECK((status->st_mode & S_IXUSR));
        auto bytes = read_file(disk, path);
        REQUIRE(bytes);
        pq::MemorySource source(*bytes);
        std::string text;
        auto message = pq::read_message(source, [&text](std::string_view piece) {
            text += piece;
            return Expected<void>();
        });
        REQUIRE(message);
        REQUIRE(message->recipients.size() == 1);
        CHECK(message->recipients[0].address == "waits@x.test");
        const std::string& sender = message->sender;
        CHECK(text == "Subject: x\n\ntext\n" + (sender == "AAAAA4@x.test" ? std::string(kLarge, 'x') + "\n" : ""));
        const char* queue = sender == "AAAAA2@x.test" ? "hold" : sender == "AAAAA3@x.test" ? "incoming" : "deferred";
        CHECK(path.find(std::string("/") + queue + "/") != std::string::npos);
        out.insert(sender);
        if (deliver) REQUIRE(disk.unlink(path));
    }
    return out;
}

std::multiset<std::string> at_postfix(SimFiles& disk, bool deliver = false) {
    std::multiset<std::string> out;
    for (const char* queue : {"/queue/incoming", "/queue/deferred", "/queue/hold"})
        out.merge(at_postfix(disk, queue, deliver));
    return out;
}

}   // namespace

TEST_CASE("each message that is handed back is in one queue, wherever that is stopped") {
    fs::path base = fs::temp_directory_path() / ("crash-hand-back-" + std::to_string(::getpid()));
    fs::remove_all(base);
    fs::create_directories(base);
    for (bool postfix_runs_first : {false, true}) {
        auto work = [&](SimFiles& disk) {
            Store store(disk, options_for((base / "index").string(), "boot"));
            if (!store.open()) return;
            HandBack hand_back(store, settings());
            (void)with_commits(store, [&]() -> Task<Expected<void>> {
                auto done = co_await hand_back.to_postfix();
                if (!done) co_return fail(done.error());
                CHECK(*done == kSenders.size());
                co_return Expected<void>{};
            });
            (void)store.flush_index();
        };
        auto check = [&](SimFiles& survivor, uint64_t operations, Loss loss) {
            INFO("after " << operations << " operations, loss " << static_cast<int>(loss));
            fs::path copy = base / "survivor";
            fs::remove_all(copy);
            bool power_lost = loss != Loss::kNothing;
            if (!power_lost && fs::exists(base / "index")) fs::copy(base / "index", copy, fs::copy_options::recursive);
            std::multiset<std::string> found;
            if (postfix_runs_first) found = at_postfix(survivor, true);
            Store store(survivor, options_for(copy.string(), power_lost ? "next boot" : "boot"));
            REQUIRE(store.open());
            HandBack hand_back(store, settings());
            REQUIRE(with_commits(store, [&] { return hand_back.recover(); }));
            for (const auto& entry : store.list("", 100)) found.insert(entry.message.envelope.sender);
            found.merge(at_postfix(survivor));
            CHECK(found == std::multiset<std::string>(kSenders.begin(), kSenders.end()));
            CHECK(survivor.list("/queue/handback")->empty());
        };
        uint64_t disks = for_each_crash([&](SimFiles& disk) { fill(disk, base / "index"); }, work, check, 2);
        CHECK(disks > 100);
    }
    fs::remove_all(base);
}
