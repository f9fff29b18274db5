#include "libmaildir/options.h"
#include "libmaildir/store.h"
#include "libproto/config/dovecot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "libmaildir/filename.h"
#include "libmaildir/sidefiles.h"
#include "libmaildir/uidlist.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::maildir;

namespace {

struct Box {
    std::string home;
    Files& files = Files::disk();
    Box() {
        char name[] = "/tmp/postcot-maildir-XXXXXX";
        home = ::mkdtemp(name);
    }
    ~Box() { std::filesystem::remove_all(home); }
    std::unique_ptr<MailStore> open(const std::string& location = "maildir:~/Maildir") {
        StoreOptions options;
        options.user = "u";
        options.home = home;
        options.mail_location = location;
        NamespaceConfig space;
        space.separator = location.find("LAYOUT=fs") != std::string::npos ? '/' : '.';
        space.mailboxes.push_back({"Sent", "\\Sent", MailboxConfig::Auto::kNo});
        options.namespaces.push_back(space);
        auto store = MailStore::open(options);
        REQUIRE(store);
        return std::move(*store);
    }
    void deliver(const std::string& name, const std::string& text, const std::string& where = "new") {
        auto file = files.open(home + "/Maildir/" + where + "/" + name, Open::kCreateNew);
        REQUIRE(file);
        REQUIRE((*file)->append(text));
    }
    std::string read(const std::string& path) { return read_file(files, home + "/Maildir/" + path).value_or(""); }
    std::vector<std::string> list(const std::string& path) {
        return files.list(home + "/Maildir/" + path).value_or(std::vector<std::string>{});
    }
};

Uid append(MailStore& store, const std::string& folder, const std::string& text, uint8_t flags = 0,
           const std::vector<std::string>& keywords = {}) {
    auto a = store.append(folder);
    REQUIRE(a);
    REQUIRE((*a)->begin(flags, keywords, std::nullopt));
    REQUIRE((*a)->write(text));
    auto r = (*a)->commit();
    REQUIRE(r);
    return r->target[0];
}

std::string mail(const std::string& subject, const std::string& more = "", const std::string& body = "body\r\n") {
    return "From: A <a@b.test>\r\nSubject: " + subject + "\r\n" + more + "\r\n" + body;
}

std::vector<uint32_t> numbers(const std::vector<SeqNum>& in) {
    std::vector<uint32_t> out;
    for (SeqNum s : in) out.push_back(s.value);
    return out;
}

std::vector<SeqNum> all(Mailbox& box) { return box.select({{1, box.exists()}}); }

}   // namespace

TEST_CASE("maildir: file names keep unknown letters and order the known ones") {
    CHECK(with_flags("1.a.h,S=3:2,PS", {kFlagged | kSeen, 0b101}) == "1.a.h,S=3:2,FPSac");
    CHECK(with_flags("1.a.h", {}) == "1.a.h:2,");
    CHECK(flags_of("1.a:2,DFRSTb") == FlagSet{kDraft | kFlagged | kAnswered | kSeen | kDeleted, 2});
    CHECK(size_field("1.a,S=12,W=34", 'W') == 34U);
    CHECK_FALSE(size_field("1.a,S=x", 'S'));
}

TEST_CASE("maildir: what came first in one second gets the lower UID") {
    CHECK(delivered_before("1795525492.M55062Q0FC59.host", "1795525492.M140091Q226F0.host"));
    CHECK_FALSE(delivered_before("1795525492.M140091Q226F0.host", "1795525492.M55062Q0FC59.host"));
    CHECK(delivered_before("99.M9.b", "100.M1.a"));
    CHECK(delivered_before("100.a", "100.b"));
    CHECK(delivered_before("note", "100.a"));
    CHECK_FALSE(delivered_before("100.a", "100.a"));
}

TEST_CASE("maildir: dovecot-uidlist v3 is read with its extensions; a torn last line is not believed") {
    Box box;
    REQUIRE(box.files.mkdir(box.home + "/Maildir"));
    std::string path = box.home + "/Maildir/dovecot-uidlist";
    auto file = box.files.open(path, Open::kCreateNew);
    REQUIRE((*file)->append("3 V17 N9 Gabc\n1 :one\n4 W10 Puidl :two:2,S\n12 :three\n13 :torn"));
    auto list = UidList::load(box.files, path);
    REQUIRE(list);
    CHECK(list->uid_validity == 17);
    CHECK(list->next_uid == 13);
    CHECK(list->header_rest == "Gabc");
    CHECK(list->damaged);
    REQUIRE(list->records.size() == 3);
    CHECK(list->records[1].name == "two");
    CHECK(UidList::extension(list->records[1], 'P') == "uidl");
    CHECK(UidList::extension(list->records[1], 'W') == "10");
}

TEST_CASE("maildir: subscriptions, version 2 and plain; dovecot-uidvalidity never repeats") {
    Box box;
    std::string path = box.home + "/subscriptions";
    REQUIRE(set_subscribed(box.files, path, '.', "Sent.&1VyuAA-", true));
    REQUIRE(set_subscribed(box.files, path, '.', "INBOX", true));
    CHECK(read_file(box.files, path).value() == "V\t2\n\nSent\t&1VyuAA-\nINBOX\n");
    REQUIRE(set_subscribed(box.files, path, '.', "Sent.&1VyuAA-", false));
    CHECK(read_subscriptions(box.files, path, '.').value() == std::vector<std::string>{"INBOX"});
    REQUIRE(replace_file(box.files, path, "a.b\nINBOX\n"));
    REQUIRE(set_subscribed(box.files, path, '.', "c", true));
    CHECK(read_file(box.files, path).value() == "a.b\nINBOX\nc\n");
    uint32_t first = next_uid_validity(box.files, box.home).value();
    CHECK(next_uid_validity(box.files, box.home).value() == first + 1);
    REQUIRE(box.files.unlink(box.home + "/dovecot-uidvalidity"));
    CHECK(next_uid_validity(box.files, box.home).value() == first + 2);
}

TEST_CASE("maildir: delivery, select, flags, keywords, expunge") {
    Box box;
    auto store = box.open();
    box.deliver("100.a", "Subject: one\n\n1\n");
    box.deliver("99.b", "Subject: two\n\n2\n");
    auto inbox = store->select("inbox", Access::kReadWrite);
    REQUIRE(inbox);
    Mailbox& m = **inbox;
    REQUIRE(m.exists() == 2);
    CHECK(m.recent() == 2);
    CHECK(box.list("new").empty());
    CHECK(m.at(SeqNum{1}).guid() == "99.b");
    CHECK(*m.at(SeqNum{1}).size() == 19);
    CHECK(m.uid_next().value == 3);
    StoreChange change;
    change.system = kSeen;
    change.keywords = {"$Forwarded", "x"};
    auto stored = m.store(all(m), change);
    REQUIRE(stored);
    CHECK(stored->changed.size() == 2);
    CHECK(stored->keywords_changed);
    CHECK(box.read("dovecot-keywords") == "0 $Forwarded\n1 x\n");
    CHECK(box.files.exists(box.home + "/Maildir/cur/99.b:2,Sab"));
    CHECK(m.sync()->empty());
    // Another session sees it, and conditional stores hold (RFC 7162 3.1.3).
    auto other = store->select("INBOX", Access::kReadWrite);
    CHECK((*other)->recent() == 0);
    StoreChange guarded;
    guarded.system = kDeleted;
    guarded.unchanged_since = ModSeq{m.at(SeqNum{1}).modseq().value - 1};
    auto refused = (*other)->store({SeqNum{1}}, guarded);
    REQUIRE(refused);
    CHECK(numbers(refused->modified) == std::vector<uint32_t>{1});
    guarded.unchanged_since = m.highest_modseq();
    CHECK((*other)->store({SeqNum{1}}, guarded)->changed.size() == 1);
    auto held = m.sync(false);
    REQUIRE(held);
    CHECK(numbers(held->flags) == std::vector<uint32_t>{1});
    CHECK(*(*other)->expunge(nullptr) == 1);
    // RFC 3501 7.4.1: numbers stand still until the session may be told.
    CHECK(m.sync(false)->expunged.empty());
    CHECK(m.exists() == 2);
    CHECK(m.at(SeqNum{1}).open().error().enhanced == "EXPUNGEISSUED");
    auto changes = m.sync(true);
    CHECK(numbers(changes->expunged) == std::vector<uint32_t>{1});
    CHECK(m.exists() == 1);
    CHECK(m.at(SeqNum{1}).uid().value == 2);
    CHECK((*m.expunged_since(ModSeq{changes ? m.highest_modseq().value - 1 : 0})).value()[0].value == 1);
}

TEST_CASE("maildir: append gives UIDs at once, with and without the folder loaded; CRLF becomes LF") {
    Box box;
    auto store = box.open();
    CHECK(append(*store, "INBOX", mail("x")).value == 1);
    CHECK(append(*store, "INBOX", mail("y"), kSeen, {"k"}).value == 2);
    store.reset();
    store = box.open();
    CHECK(append(*store, "INBOX", mail("z")).value == 3);   // from the index's record alone
    CHECK(store->status("INBOX")->messages == 3);
    CHECK(store->status("INBOX")->unseen == 2);
    CHECK(store->status("INBOX", true)->size == 3 * mail("x").size());
    auto inbox = store->select("INBOX", Access::kReadWrite);
    Mailbox& m = **inbox;
    REQUIRE(m.exists() == 3);
    CHECK(m.at(SeqNum{2}).flags() == FlagSet{kSeen, 1});
    auto content = m.at(SeqNum{3}).open();
    REQUIRE(content);
    CHECK((*content)->size() == mail("z").size());
    CHECK(read_all(**content).value() == mail("z"));
    CHECK(read_all(**content, 3, 7).value() == mail("z").substr(3, 7));
    mime::Section fields;
    fields.kind = mime::Section::Kind::kHeaderFields;
    fields.fields = {"SUBJECT", "X-None"};
    CHECK(read_all(**m.at(SeqNum{3}).open(fields)).value() == "Subject: z\r\n\r\n");
    CHECK(std::string(*m.at(SeqNum{1}).envelope()).starts_with("(NIL \"x\" ((\"A\" NIL \"a\" \"b.test\"))"));
    CHECK(std::string(*m.at(SeqNum{1}).bodystructure()) ==
          "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1 NIL NIL NIL NIL)");
    CHECK(*m.at(SeqNum{1}).preview() == "body");
    append(*store, "INBOX", mail("w"));
    auto changes = m.sync();
    CHECK(changes->exists_changed);
    CHECK(changes->exists == 4);
}

TEST_CASE("maildir: the index may go at any time: UIDs, UIDVALIDITY, flags and keywords are in the Maildir") {
    Box box;
    auto store = box.open();
    append(*store, "INBOX", mail("x"), kFlagged, {"k1"});
    append(*store, "INBOX", mail("y"));
    append(*store, "INBOX", mail("z"));
    uint32_t validity = 0;
    {
        auto m = store->select("INBOX", Access::kReadWrite);
        validity = (*m)->uid_validity();
        StoreChange change;
        change.system = kDeleted;
        REQUIRE((*m)->store({SeqNum{3}}, change));
        REQUIRE(*(*m)->expunge(nullptr) == 1);
    }
    store.reset();
    std::filesystem::remove_all(box.home + "/Maildir/postcot.index");
    store = box.open();
    auto m = store->select("INBOX", Access::kReadWrite);
    CHECK((*m)->uid_validity() == validity);
    CHECK((*m)->uid_next().value == 4);
    REQUIRE((*m)->exists() == 2);
    CHECK((*m)->at(SeqNum{1}).flags() == FlagSet{kFlagged, 1});
    CHECK((*m)->keywords() == std::vector<std::string>{"k1"});
}

TEST_CASE("maildir: renames by others are followed by base name; an expunged message that comes back gets a new UID") {
    Box box;
    auto store = box.open();
    box.deliver("1.a", "Subject: a\n\n", "cur");
    auto m = store->select("INBOX", Access::kReadWrite);
    REQUIRE((*m)->exists() == 1);
    REQUIRE(::rename((box.home + "/Maildir/cur/1.a").c_str(), (box.home + "/Maildir/cur/1.a:2,RS").c_str()) == 0);
    CHECK((*m)->at(SeqNum{1}).open());
    auto changes = (*m)->sync();
    CHECK((*m)->at(SeqNum{1}).flags().system == (kAnswered | kSeen));
    REQUIRE(::rename((box.home + "/Maildir/cur/1.a:2,RS").c_str(), (box.home + "/away").c_str()) == 0);
    ::usleep(30000);
    CHECK((*m)->sync()->expunged.size() == 1);
    REQUIRE(::rename((box.home + "/away").c_str(), (box.home + "/Maildir/cur/1.a:2,").c_str()) == 0);
    ::usleep(30000);
    CHECK((*m)->sync()->exists == 1);
    CHECK((*m)->at(SeqNum{1}).uid().value == 2);
}

TEST_CASE("maildir: two processes' stores on one Maildir agree") {
    Box box;
    auto one = box.open();
    auto two = box.open("maildir:~/Maildir:INDEX=MEMORY");
    auto a = one->select("INBOX", Access::kReadWrite);
    auto b = two->select("INBOX", Access::kReadWrite);
    for (int i = 0; i < 5; ++i) {
        append(i % 2 ? *one : *two, "INBOX", mail(std::to_string(i)));
        REQUIRE((*a)->sync());
        REQUIRE((*b)->sync());
    }
    REQUIRE((*a)->exists() == 5);
    REQUIRE((*b)->exists() == 5);
    for (uint32_t i = 1; i <= 5; ++i) {
        CHECK((*a)->at(SeqNum{i}).uid().value == i);
        CHECK((*a)->at(SeqNum{i}).guid() == (*b)->at(SeqNum{i}).guid());
    }
    StoreChange change;
    change.keywords = {"later"};
    REQUIRE((*b)->store({SeqNum{2}}, change));
    ::usleep(30000);
    auto changes = (*a)->sync();
    CHECK(changes->keywords_changed);
    CHECK(numbers(changes->flags) == std::vector<uint32_t>{2});
}

TEST_CASE("maildir: copy and move keep flags, keywords by name, dates") {
    Box box;
    auto store = box.open();
    REQUIRE(store->create("Sent"));
    append(*store, "Sent", mail("s"), 0, {"other", "k"});
    append(*store, "INBOX", mail("x"), kSeen, {"k"});
    append(*store, "INBOX", mail("y"));
    auto m = store->select("INBOX", Access::kReadWrite);
    auto copied = (*m)->copy({SeqNum{1}}, "Sent");
    REQUIRE(copied);
    CHECK(copied->target[0].value == 2);
    CHECK((*m)->copy({SeqNum{1}}, "Nowhere").error().enhanced == "TRYCREATE");
    auto moved = (*m)->move({SeqNum{1}}, "Sent");
    REQUIRE(moved);
    CHECK(moved->source[0].value == 1);
    CHECK(numbers((*m)->sync()->expunged) == std::vector<uint32_t>{1});
    auto sent = store->select("Sent", Access::kReadOnly);
    REQUIRE((*sent)->exists() == 3);
    CHECK((*sent)->at(SeqNum{2}).flags() == FlagSet{kSeen, 2});
    CHECK((*sent)->at(SeqNum{3}).internal_date().seconds > 0);
    CHECK((*m)->copy({SeqNum{1}}, "INBOX")->target[0].value == 3);
}

TEST_CASE("maildir: folders in both layouts: create, list, rename with children, delete, subscribe") {
    for (std::string location : {"maildir:~/Maildir", "maildir:~/Maildir:LAYOUT=fs"}) {
        Box box;
        auto store = box.open(location);
        std::string s = location.find("fs") == std::string::npos ? "." : "/";
        REQUIRE(store->create("보관" + s + "2026"));
        REQUIRE(store->create("Sent"));
        CHECK(store->create("Sent").error().enhanced == "ALREADYEXISTS");
        CHECK(store->create("a" + s + s + "b").error().enhanced == "CANNOT");
        CHECK(store->create("../x").error().enhanced == "CANNOT");
        append(*store, "보관" + s + "2026", mail("x"));
        REQUIRE(store->subscribe("Sent", true));
        REQUIRE(store->subscribe("Gone", true));
        auto list = store->folders(true);
        REQUIRE(list);
        std::vector<std::string> names;
        for (const FolderInfo& f : *list)
            names.push_back(f.name + (f.selectable ? "" : "!") + (f.subscribed ? "*" : "") + f.special_use);
        CHECK(names == std::vector<std::string>{"INBOX", "Gone!*", "Sent*\\Sent", "보관!", "보관" + s + "2026"});
        uint32_t validity = store->status("보관" + s + "2026")->uid_validity;
        REQUIRE(store->rename("보관", "Old"));
        CHECK(store->status("Old" + s + "2026")->uid_validity == validity);
        CHECK(store->status("Old" + s + "2026")->messages == 1);
        CHECK(store->remove("INBOX").error().enhanced == "CANNOT");
        CHECK(store->remove("Nope").error().enhanced == "NONEXISTENT");
        REQUIRE(store->remove("Old" + s + "2026"));
        REQUIRE(store->create("Old" + s + "2026"));
        CHECK(store->status("Old" + s + "2026")->uid_validity > validity);
        append(*store, "INBOX", mail("in"));
        REQUIRE(store->rename("INBOX", "Was"));
        CHECK(store->status("Was")->messages == 1);
        CHECK(store->status("INBOX")->messages == 0);
    }
}

TEST_CASE("RFC 3501 6.4.4: search on flags, headers, bodies, dates, sizes") {
    Box box;
    auto store = box.open();
    append(*store, "INBOX", mail("=?euc-kr?B?x9Gx2w==?= Letter", "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nX-Y: q\r\n"),
           kSeen);
    append(*store, "INBOX",
           mail("other", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
                "7ZWc6riAIFdvcmxk\r\n"));
    append(*store, "INBOX", mail("third", "", std::string(5000, 'x') + "\r\n"), kDeleted);
    auto m = store->select("INBOX", Access::kReadWrite);
    auto find = [&](SearchKey key) { return numbers((*m)->search(key).value()); };
    auto text = [](SearchKey::Kind kind, std::string t, std::string header = "") {
        SearchKey key;
        key.kind = kind;
        key.text = std::move(t);
        key.header = std::move(header);
        return key;
    };
    using K = SearchKey::Kind;
    using V = std::vector<uint32_t>;
    CHECK(find(text(K::kSubject, "한글 LETTER")) == V{1});
    CHECK(find(text(K::kBody, "한글 world")) == V{2});
    CHECK(find(text(K::kText, "OTHER")) == V{2});
    CHECK(find(text(K::kHeader, "", "x-y")) == V{1});
    CHECK(find(text(K::kFrom, "b.test")) == V{1, 2, 3});
    SearchKey key;
    key.kind = K::kLarger;
    key.number = 4000;
    CHECK(find(key) == V{3});
    key = {};
    key.kind = K::kFlag;
    key.flag = kSeen;
    key.negate = true;
    CHECK(find(key) == V{2, 3});
    SearchKey either;
    either.kind = K::kOr;
    either.children = {key, text(K::kSubject, "letter")};
    CHECK(find(either) == V{1, 2, 3});
    either.kind = K::kAnd;
    either.negate = true;
    CHECK(find(either) == V{1, 2, 3});
    key = {};
    key.kind = K::kSentOn;
    key.day = 10186;
    CHECK(find(key) == V{1});
    key = {};
    key.kind = K::kUid;
    key.numbers = {{2, 9}};
    CHECK(find(key) == V{2, 3});
}

TEST_CASE("RFC 5256 3, 4: sort and thread") {
    Box box;
    auto store = box.open();
    auto add = [&](const std::string& subject, const std::string& id, const std::string& refs, int day) {
        auto a = store->append("INBOX");
        REQUIRE((*a)->begin(0, {}, DateTime{1000000000 + day * 86400, 0}));
        REQUIRE((*a)->write(mail(subject, "Message-ID: <" + id + ">\r\n" +
                                              (refs.empty() ? "" : "References: " + refs + "\r\n") +
                                              "Date: " + std::to_string(day) + " Nov 2026 10:00:00 +0000\r\n")));
        REQUIRE((*a)->commit());
    };
    add("b", "1@x", "", 5);
    add("Re: a", "2@x", "<1@x>", 4);
    add("c", "3@x", "<9@x>", 3);
    add("Re: c", "4@x", "<9@x>", 2);
    add("Re: b", "5@x", "<1@x> <2@x>", 9);
    add("b", "6@x", "", 10);
    auto m = store->select("INBOX", Access::kReadWrite);
    using V = std::vector<uint32_t>;
    CHECK(numbers((*m)->sort({}, {{SortField::kSubject, false}}).value()) == V{2, 1, 5, 6, 3, 4});
    CHECK(numbers((*m)->sort({}, {{SortField::kDate, true}}).value()) == V{6, 5, 1, 2, 3, 4});
    auto thread = [&](ThreadAlgorithm a) { return thread_response((*m)->thread({}, a).value(), nullptr); };
    CHECK(thread(ThreadAlgorithm::kReferences) == "((4)(3))((1 2 5)(6))");
    CHECK(thread(ThreadAlgorithm::kRefs) == "((4)(3))(1 2 5)(6)");
    CHECK(thread(ThreadAlgorithm::kOrderedSubject) == "(4 3)(2)(1 (5)(6))");
}

TEST_CASE("A location that is not served is named with its line before anybody logs in") {
    auto said = [](const std::string& text) {
        auto conf = config::DovecotConf::parse(text, "d.conf");
        REQUIRE(conf);
        auto good = check_locations(*conf, "imap");
        return good ? std::string() : good.error().text;
    };
    const std::string at = "Error in configuration file d.conf line ";
    for (auto served : {"", "mail_location =\n", "mail_location = maildir:~/Maildir\n", "mail_location = maildir:\n",
                        "mail_location = maildir:/v/%d/%1n/%Ln:INDEX=/i/%{user | username}:LAYOUT=fs\n",
                        "mail_location = ~/Maildir\n", "mail_driver = maildir\nmail_path = ~/Maildir\n"}) {
        INFO(served);
        CHECK(said(served).empty());
    }
    CHECK(said("\nmail_location = mbox:~/mail:INBOX=/var/mail/%u\n")
              .starts_with(at + "2: mail_location: mbox is not served"));
    CHECK(said("mail_driver = mbox\nmail_path = %{home}/mail\nmail_inbox_path = /var/mail/%{user}\n")
              .starts_with(at + "1: mail_location: mbox is not served"));
    CHECK(said("mail_location = sdbox:~/dbox\n") ==
          at + "1: mail_location: only maildir:<path> is served, not \"sdbox:~/dbox\"");
    CHECK(said("mail_location = maildir:~/M:UTF-8\n") == at + "1: mail_location: the suffix UTF-8 is not served");
    CHECK(said("mail_location = maildir:/v/%q\n") == at + "1: mail_location: unknown variable %q");
    CHECK(said("protocol imap {\n  mail_location = mdbox:~/m\n}\n").starts_with(at + "2: mail_location: only"));
    CHECK(said("protocol pop3 {\n  mail_location = mdbox:~/m\n}\n").empty());
    CHECK(said("namespace x {\n  prefix = x.\n  location = mbox:~/m\n}\n")
              .starts_with(at + "3: location: mbox is not served"));
}

TEST_CASE("A location from the userdb that is not served is named as such") {
    auto conf = config::DovecotConf::parse("", "d.conf");
    auto options = store_options(*conf, "imap", {"ann", "/home/ann"}, "mbox:~/mail");
    REQUIRE_FALSE(options);
    CHECK(options.error().enhanced == "UNAVAILABLE");
    CHECK(options.error().text.starts_with("userdb field mail: mbox is not served"));
}

TEST_CASE("RFC 5256 3: a reply with hundreds of ancestors is threaded by its oldest and its nearest") {
    Box box;
    auto store = box.open();
    auto add = [&](const std::string& subject, const std::string& id, const std::string& refs) {
        auto a = store->append("INBOX");
        REQUIRE((*a)->begin(0, {}, DateTime{1000000000, 0}));
        REQUIRE((*a)->write(
            mail(subject, "Message-ID: <" + id + ">\r\n" + (refs.empty() ? "" : "References:" + refs + "\r\n"))));
        REQUIRE((*a)->commit());
    };
    std::string references;
    for (int i = 0; i < 300; ++i) references += " <ancestor" + std::to_string(i) + "@x>\r\n";
    references.resize(references.size() - 2);
    add("one", "ancestor0@x", "");
    add("two", "ancestor299@x", " <ancestor0@x>");
    add("three", "last@x", references);
    auto m = store->select("INBOX", Access::kReadWrite);
    CHECK(thread_response((*m)->thread({}, ThreadAlgorithm::kRefs).value(), nullptr) == "(1 2 3)");
}
