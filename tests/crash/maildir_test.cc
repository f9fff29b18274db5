// The store's promises over a crash: a UID once told never means another message, UIDVALIDITY stays, what was answered OK is there.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "libmaildir/store.h"
#include "tests/crash/sim_files.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::maildir;

namespace {

std::unique_ptr<MailStore> open_store(Files& files) {
    StoreOptions options;
    options.user = "u";
    options.home = "/home";
    options.mail_location = "maildir:/home/m:INDEX=MEMORY";   // LMDB is only a cache: rebuilt after power loss
    options.namespaces.emplace_back();
    auto store = MailStore::open(options, files);
    return store ? std::move(*store) : nullptr;
}

struct Told {
    uint32_t uid_validity = 0;
    std::map<uint32_t, std::string> subjects;   // by UID, as a client saw them
    std::set<std::string> kept;                 // acknowledged and never asked to go
    uint32_t uid_next = 0;
};

std::string subject_of(Message message) {
    mime::Section section;
    section.kind = mime::Section::Kind::kHeaderFields;
    section.fields = {"Subject"};
    auto content = message.open(section);
    if (!content || !*content) return "?";
    return read_all(**content).value_or("?");
}

void look(Mailbox& box, Told& told) {
    told.uid_validity = box.uid_validity();
    told.uid_next = std::max(told.uid_next, box.uid_next().value);
    for (uint32_t n = 1; n <= box.exists(); ++n) {
        std::string subject = subject_of(box.at(SeqNum{n}));
        if (subject == "?") continue;   // the crash was just now
        told.subjects[box.uid_of(SeqNum{n}).value] = subject;
        told.kept.insert(subject);
    }
}

void deliver(Files& files, const std::string& name) {
    auto file = files.open("/home/m/new/" + name, Open::kCreateNew);
    if (!file) return;
    if (!(*file)->append("Subject: " + name + "\n\nx\n")) return;
    (void)(*file)->sync();
    (void)files.sync_dir("/home/m/new");
}

bool append(MailStore& store, const std::string& subject, Told& told) {
    auto a = store.append("INBOX");
    if (!a || !(*a)->begin(0, {}, std::nullopt) || !(*a)->write("Subject: " + subject + "\r\n\r\nx\r\n")) return false;
    auto done = (*a)->commit();
    if (!done) return false;
    told.uid_validity = done->uid_validity;
    told.subjects[done->target[0].value] = "Subject: " + subject + "\r\n\r\n";
    told.kept.insert("Subject: " + subject + "\r\n\r\n");
    return true;
}

void verify(SimFiles& survivor, uint64_t operations, Loss loss, const Told& told) {
    INFO("after " << operations << " operations, loss " << static_cast<int>(loss));
    for (const char* lock : {"dovecot-uidlist.lock", "dovecot-keywords.lock"})   // of a process that is dead now
        (void)survivor.unlink(std::string("/home/m/") + lock);
    auto store = open_store(survivor);
    REQUIRE(store);
    auto box = store->select("INBOX", Access::kReadWrite);
    REQUIRE(box);
    if (told.uid_validity != 0) REQUIRE((*box)->uid_validity() == told.uid_validity);
    std::set<std::string> present;
    uint32_t last = 0;
    for (uint32_t n = 1; n <= (*box)->exists(); ++n) {
        uint32_t uid = (*box)->uid_of(SeqNum{n}).value;
        REQUIRE(uid > last);
        last = uid;
        std::string subject = subject_of((*box)->at(SeqNum{n}));
        present.insert(subject);
        auto known = told.subjects.find(uid);
        if (known != told.subjects.end()) REQUIRE(known->second == subject);
    }
    for (const std::string& subject : told.kept) {
        INFO(subject);
        REQUIRE(present.count(subject));
    }
    // What comes now gets a UID that nobody has heard of.
    Told after;
    REQUIRE(append(*store, "new", after));
    REQUIRE(after.uid_validity == (*box)->uid_validity());
    REQUIRE_FALSE(told.subjects.count(after.subjects.begin()->first));
    REQUIRE(after.subjects.begin()->first >= told.uid_next);
}

}   // namespace

TEST_CASE("crash: a UID once told is never another message's, UIDVALIDITY stays, acknowledged messages are there") {
    Told told;
    auto prepare = [&](SimFiles& files) {
        told = Told{};
        REQUIRE(files.mkdir("/home"));
        auto store = open_store(files);
        REQUIRE(store);
        deliver(files, "1.a");
        files.sync_everything();
    };
    auto work = [&](SimFiles& files) {
        auto store = open_store(files);
        if (!store) return;
        auto box = store->select("INBOX", Access::kReadWrite);
        if (!box) return;
        look(**box, told);
        if (!append(*store, "two", told)) return;
        deliver(files, "2.b");
        if (!(*box)->sync()) return;
        look(**box, told);
        auto copied = (*box)->copy({SeqNum{1}}, "INBOX");
        if (!copied) return;
        if (!(*box)->sync()) return;
        look(**box, told);
        // The highest UID goes: it must not come back as another message's.
        told.kept.erase(told.subjects[(*box)->uid_of(SeqNum{2}).value]);
        StoreChange change;
        change.system = kDeleted;
        auto stored = (*box)->store({SeqNum{2}, SeqNum{(*box)->exists()}}, change);
        if (!stored || !(*box)->expunge(nullptr)) return;
        if (!(*box)->sync()) return;
        look(**box, told);
        (void)append(*store, "last", told);
    };
    auto check = [&](SimFiles& survivor, uint64_t operations, Loss loss) { verify(survivor, operations, loss, told); };
    uint64_t disks = for_each_crash(prepare, work, check);
    CHECK(disks > 200);
}

TEST_CASE("crash: a disk that is full for a while changes nothing of that") {
    for (uint64_t room : {0u, 10u, 30u, 70u}) {   // for dovecot-uidlist: nothing, a piece of a line, a line
        Told told;
        bool refused = false;
        auto prepare = [&](SimFiles& files) {
            told = Told{};
            REQUIRE(files.mkdir("/home"));
            auto store = open_store(files);
            REQUIRE(store);
            deliver(files, "1.a");
            files.sync_everything();
        };
        auto work = [&](SimFiles& files) {
            auto store = open_store(files);
            if (!store) return;
            auto box = store->select("INBOX", Access::kReadWrite);
            if (!box) return;
            look(**box, told);
            if (!append(*store, "two", told)) return;
            deliver(files, "2.b");
            files.set_room(room);
            auto synced = (*box)->sync();   // reads on, with or without the new one
            if (!files.crashed()) REQUIRE(synced);
            look(**box, told);
            refused = !append(*store, "no room", told);
            (void)(*box)->copy({SeqNum{1}, SeqNum{2}}, "INBOX");
            StoreChange change;
            change.system = kDeleted;
            told.kept.erase("Subject: 1.a\r\n\r\n");
            auto gone = (*box)->store({SeqNum{1}}, change);
            if (gone) (void)(*box)->expunge(nullptr);
            files.set_room_unlimited();
            if (!(*box)->sync()) return;
            look(**box, told);
            (void)append(*store, "last", told);
        };
        auto check = [&](SimFiles& survivor, uint64_t operations, Loss loss) {
            verify(survivor, operations, loss, told);
        };
        for_each_crash(prepare, work, check);
        CHECK(refused);   // of the last run, which was not stopped
        CHECK(told.kept.count("Subject: 2.b\r\n\r\n"));
    }
}
