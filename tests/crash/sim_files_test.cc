#include "tests/crash/sim_files.h"

#include <set>

#include "tests/unit/catch.h"

using namespace postcot;

namespace {

std::string content_of(Files& files, const std::string& path) {
    auto content = read_file(files, path);
    return content ? *content : "<" + content.error().text + ">";
}

void put(Files& files, const std::string& path, std::string_view text, bool sync) {
    auto file = files.open(path, Open::kCreateNew);
    REQUIRE(file);
    REQUIRE((*file)->append(text));
    if (sync) REQUIRE((*file)->sync());
}

}   // namespace

TEST_CASE("the simulated disk behaves like a disk") {
    SimFiles files;
    REQUIRE(files.mkdir("/a"));
    put(files, "/a/x", "hello", false);
    CHECK(content_of(files, "/a/x") == "hello");
    CHECK(files.open("/a/x", Open::kCreateNew).error().code == EEXIST);
    CHECK(files.open("/a/y", Open::kRead).error().code == ENOENT);
    CHECK(files.open("/b/y", Open::kReadWrite).error().code == ENOENT);
    CHECK(files.open("/a/x/y", Open::kReadWrite).error().code == ENOTDIR);
    REQUIRE(files.link("/a/x", "/a/z"));
    REQUIRE(files.rename("/a/x", "/w"));
    CHECK_FALSE(files.exists("/a/x"));
    CHECK(content_of(files, "/w") == "hello");
    CHECK(content_of(files, "/a/z") == "hello");
    CHECK(files.rmdir("/a").error().code == ENOTEMPTY);
    REQUIRE(files.unlink("/a/z"));
    REQUIRE(files.rmdir("/a"));
    auto file = files.open("/w", Open::kReadWrite);
    REQUIRE((*file)->write_at("J", 0));
    REQUIRE((*file)->truncate(3));
    REQUIRE(files.unlink("/w"));
    char buffer[8];
    CHECK((*file)->read_at(buffer, 8, 0).value() == 3);   // an open file lives on
    CHECK(std::string(buffer, 3) == "Jel");
    auto before = files.stat("/")->st_mtim.tv_nsec;
    REQUIRE(files.mkdir("/new"));
    CHECK(files.stat("/")->st_mtim.tv_nsec != before);
}

TEST_CASE("power loss takes what was not synced and keeps what was") {
    SimFiles files;
    put(files, "/named", "data", true);
    REQUIRE(files.sync_dir("/"));
    put(files, "/unnamed", "data", true);
    put(files, "/unsynced", "data", false);
    auto file = files.open("/named", Open::kReadWrite);
    REQUIRE((*file)->append("more"));

    CHECK(content_of(*files.after(Loss::kNothing), "/named") == "datamore");
    auto disk = files.after(Loss::kAll);
    CHECK(content_of(*disk, "/named") == "data");
    CHECK_FALSE(disk->exists("/unnamed"));
    CHECK_FALSE(disk->exists("/unsynced"));

    std::set<std::string> named, unsynced;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        disk = files.after(Loss::kPrefix, seed);
        named.insert(content_of(*disk, "/named"));
        if (disk->exists("/unsynced")) unsynced.insert(content_of(*disk, "/unsynced"));
        if (disk->exists("/unsynced")) CHECK(disk->exists("/unnamed"));   // in order
    }
    CHECK(named == std::set<std::string>{"data", "datam", "datamo", "datamor", "datamore"});
    CHECK(unsynced.count(""));
    CHECK(unsynced.count("data"));
    bool out_of_order = false;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        disk = files.after(Loss::kTorn, seed);
        out_of_order |= disk->exists("/unsynced") && !disk->exists("/unnamed");
        CHECK(disk->exists("/named"));
    }
    CHECK(out_of_order);
}

TEST_CASE("a torn write mixes sectors of old and new") {
    SimFiles files;
    put(files, "/f", std::string(2048, 'o'), true);
    REQUIRE(files.sync_dir("/"));
    auto file = files.open("/f", Open::kReadWrite);
    REQUIRE((*file)->write_at(std::string(2048, 'n'), 0));
    bool mixed = false;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        std::string content = content_of(*files.after(Loss::kTorn, seed), "/f");
        REQUIRE(content.size() == 2048);
        for (size_t at = 0; at < 2048; at += 512) CHECK(content.substr(at, 512) == std::string(512, content[at]));
        mixed |= content.find('o') != std::string::npos && content.find('n') != std::string::npos;
    }
    CHECK(mixed);
}

TEST_CASE("a rename between folders happens in both or in none") {
    SimFiles files;
    REQUIRE(files.mkdir("/tmp"));
    REQUIRE(files.mkdir("/new"));
    put(files, "/tmp/m", "mail", true);
    files.sync_everything();
    REQUIRE(files.rename("/tmp/m", "/new/m"));
    for (uint64_t seed = 0; seed < 50; ++seed) {
        auto disk = files.after(Loss::kTorn, seed);
        CHECK(disk->exists("/tmp/m") != disk->exists("/new/m"));
    }
    REQUIRE(files.sync_dir("/new"));
    CHECK(content_of(*files.after(Loss::kAll), "/new/m") == "mail");
}

TEST_CASE("after the crash point everything fails with EIO") {
    SimFiles files;
    files.crash_after(2);
    auto file = files.open("/f", Open::kCreateNew);
    REQUIRE(file);
    REQUIRE((*file)->append("a"));
    CHECK((*file)->append("b").error().code == EIO);
    CHECK((*file)->sync().error().code == EIO);
    CHECK(files.list("/").error().code == EIO);
    CHECK(files.crashed());
    CHECK(content_of(*files.after(Loss::kNothing), "/f") == "a");
}

TEST_CASE("replace_file leaves the old content or the new one at every crash point") {
    auto prepare = [](SimFiles& files) { REQUIRE(replace_file(files, "/config", "old content")); };
    std::string fresh(5000, 'n');
    bool done = false;
    auto work = [&](SimFiles& files) { done = replace_file(files, "/config", fresh).has_value(); };
    std::set<bool> seen;
    auto check = [&](SimFiles& survivor, uint64_t, Loss) {
        std::string content = content_of(survivor, "/config");
        REQUIRE((content == "old content" || content == fresh));
        if (done) REQUIRE(content == fresh);
        seen.insert(content == fresh);
    };
    uint64_t disks = for_each_crash(prepare, work, check, 8);
    CHECK(disks > 80);
    CHECK(seen.size() == 2);
}

TEST_CASE("an append that is not synced is caught by the simulated power loss") {
    // The self-test of the method: a writer that forgets fdatasync must fail it.
    auto prepare = [](SimFiles& files) { put(files, "/journal", "", true); };
    bool acknowledged = false;
    auto work = [&](SimFiles& files) {
        acknowledged = false;
        auto file = files.open("/journal", Open::kReadWrite);
        acknowledged = file && (*file)->append("record");
    };
    unsigned lost = 0;
    auto check = [&](SimFiles& survivor, uint64_t, Loss) {
        if (acknowledged && content_of(survivor, "/journal") != "record") ++lost;
    };
    for_each_crash(prepare, work, check);
    CHECK(lost > 0);
}
