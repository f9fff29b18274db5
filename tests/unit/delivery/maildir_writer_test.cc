#include "queued/local/maildir_writer.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "queued/local/maildir_name.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;
namespace fs = std::filesystem;

namespace {

struct Folder {
    std::string path;
    Folder() {
        char name[] = "/tmp/postcot-maildir-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { fs::remove_all(path); }
};

MaildirDelivery delivery(const std::string& maildir, const std::string& id, std::string_view head) {
    MaildirDelivery out;
    out.maildir = maildir;
    out.base = maildir_base_name(1732445566, 123456, id, "0 user@example.com", "mail.example.com");
    out.headers = "Return-Path: <a@b>\n";
    out.head = head;
    return out;
}

std::vector<std::string> names(const std::string& folder) {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder)) out.push_back(entry.path().filename());
    return out;
}

std::string content(const fs::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

}   // namespace

TEST_CASE("Maildir: the name says when it came, its sizes, and whose copy it is") {
    std::string base = maildir_base_name(1732445566, 42, "4F0C312AB7", "0 a@b", "h/o:s,t");
    CHECK(base.substr(0, 24) == "1732445566.M42Q4F0C312AB");
    CHECK(base.find("h\\057o\\072s\\054t") != std::string::npos);
    CHECK(base != maildir_base_name(1732445566, 42, "4F0C312AB7", "1 a@b", "h/o:s,t"));
    CHECK(maildir_sized_name("x", 10, 12) == "x,S=10,W=12");
    CHECK(maildir_name_has_base("x,S=10,W=12:2,S", "x"));
    CHECK(maildir_name_has_base("x:2,", "x"));
    CHECK_FALSE(maildir_name_has_base("xy,S=1", "x"));
}

TEST_CASE("Maildir: made when absent, with parents; S= and W= hold; nothing is left in tmp") {
    Folder folder;
    std::string maildir = folder.path + "/home/user/Maildir/";
    std::string text = "Subject: x\n\nbody\n";
    MaildirWriter writer(Files::disk(), 4);
    std::vector<MaildirDelivery> batch;
    for (int i = 0; i < 40; ++i) batch.push_back(delivery(maildir, "Q" + std::to_string(i), text));
    writer.deliver(batch);
    for (auto& one : batch) CHECK(one.result.has_value());
    CHECK(names(maildir + "tmp").empty());
    CHECK(names(maildir + "new").size() == 40);
    std::string expected = "Return-Path: <a@b>\n" + text;
    std::string name = maildir_sized_name(batch[7].base, expected.size(), expected.size() + 4);
    CHECK(content(maildir + "new/" + name) == expected);
}

TEST_CASE("Maildir: head and descriptor make one message") {
    Folder folder;
    std::string file = folder.path + "/content";
    std::string large(700000, 'y');
    std::ofstream(file) << "skipped" << large << "rest";
    MaildirWriter writer(Files::disk(), 1);
    std::vector<MaildirDelivery> batch = {delivery(folder.path + "/M", "Q1", "A: b\n\n")};
    auto open = Files::disk().open(file, Open::kRead);
    batch[0].fd = (*open)->fd();
    batch[0].offset = 7;
    batch[0].length = large.size();
    writer.deliver(batch);
    REQUIRE(batch[0].result.has_value());
    CHECK(content(fs::path(folder.path + "/M/new") / names(folder.path + "/M/new").at(0)) ==
          "Return-Path: <a@b>\nA: b\n\n" + large);
    batch[0].length = large.size() + 5;   // the file ends early
    writer.deliver(batch);
    CHECK_FALSE(batch[0].result.has_value());
    CHECK(names(folder.path + "/M/new").size() == 1);
    CHECK(names(folder.path + "/M/tmp").empty());
}

TEST_CASE("Maildir: a copy delivered again after a crash is there once, in new/ or in cur/") {
    Folder folder;
    std::string maildir = folder.path + "/M";
    MaildirWriter writer(Files::disk(), 2);
    std::vector<MaildirDelivery> batch = {delivery(maildir, "Q1", "x\n"), delivery(maildir, "Q2", "y\n")};
    writer.deliver(batch);
    writer.deliver(batch);
    REQUIRE(names(maildir + "/new").size() == 2);
    // The owner has read both meanwhile.
    for (const auto& name : names(maildir + "/new"))
        fs::rename(maildir + "/new/" + name, maildir + "/cur/" + name + ":2,S");
    for (auto& one : batch) one.maybe_delivered = true;
    batch.push_back(delivery(maildir, "Q3", "z\n"));
    writer.deliver(batch);
    for (auto& one : batch) CHECK(one.result.has_value());
    CHECK(names(maildir + "/cur").size() == 2);
    CHECK(names(maildir + "/new").size() == 1);
}

TEST_CASE("Maildir: a stale file in tmp is replaced; one bad mailbox does not hurt the others of its batch") {
    Folder folder;
    std::string maildir = folder.path + "/M";
    MaildirWriter writer(Files::disk(), 2);
    std::vector<MaildirDelivery> batch = {delivery(maildir, "Q1", "x\n"), delivery("/proc/nowhere/M", "Q2", "y\n"),
                                          delivery(maildir, "Q3", "a long one\n")};
    batch[2].size_limit = 10;
    fs::create_directories(maildir + "/tmp");
    std::ofstream(maildir + "/tmp/" + batch[0].base) << "half";
    writer.deliver(batch);
    CHECK(batch[0].result.has_value());
    CHECK_FALSE(batch[1].result.has_value());
    REQUIRE_FALSE(batch[2].result.has_value());
    CHECK(batch[2].result.error().code == EFBIG);
    CHECK(names(maildir + "/tmp").empty());
    CHECK(names(maildir + "/new").size() == 1);
}
