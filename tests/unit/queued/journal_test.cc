// What the journal writes is read by every later version: golden/ has a segment of each format.
#include "queued/journal/journal.h"

#include <filesystem>

#include "queued/journal/records.h"
#include "queued/journal/segment.h"
#include "queued/store/store.h"
#include "tests/crash/sim_files.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;

namespace {

#include "tests/unit/queued/golden/format_1.inc"
#include "tests/unit/queued/golden/format_2.inc"

template <size_t N>
std::string golden(const unsigned char (&octets)[N]) {
    return {reinterpret_cast<const char*>(octets), N};
}

void put(SimFiles& disk, const std::string& path, std::string_view bytes) {
    auto file = disk.open(path, Open::kTruncate);
    REQUIRE(file);
    REQUIRE((*file)->append(bytes));
    disk.sync_everything();
}

// Every member that the golden files know has a value that is not its default.
StoredMessage full_message(const std::string& id) {
    StoredMessage m;
    m.id = id;
    Envelope& e = m.envelope;
    e.sender = "sender@example.com";
    e.ret = ipc::Ret::kHeaders;
    e.envid = "envelope id";
    e.body = ipc::BodyType::k8BitMime;
    e.smtputf8 = e.requiretls = e.no_rewrite = e.local_submission = e.no_header_checks = e.hold = e.verify = true;
    e.verp = "+=";
    e.filter = "smtp:[127.0.0.1]:10024";
    e.arrival_seconds = 1790000000;
    e.arrival_microseconds = 123456;
    e.client_name = "client.example.com";
    e.client_address = "192.0.2.1";
    e.client_port = "4711";
    e.helo_name = "helo.example.com";
    e.protocol = "ESMTP";
    e.sasl_method = "PLAIN";
    e.sasl_username = "user";
    e.sasl_sender = "other@example.com";
    e.log_ident = "maildrop/AAAA";
    for (int i = 0; i < 2; ++i) {
        Recipient r;
        r.address = "to" + std::to_string(i) + "@example.com";
        r.original = "orig@example.com";
        r.orcpt = "rfc822;orcpt@example.com";
        r.notify = ipc::kNotifyDelay | ipc::kNotifyFailure;
        e.recipients.push_back(r);
        RecipientState s;
        if (i == 1) {
            s.status = RecipientStatus::kBounced;
            s.context = "context";
            s.transport = "smtp:next";
            s.result = {
                "5.1.1", "no such user", "relay[192.0.2.2]:25", "dns;relay", "smtp;550 no", "rfc822;final@example.com",
                2};
        }
        m.states.push_back(s);
    }
    m.large = true;
    m.large_offset = 7;
    m.large_length = 200000;
    m.queued_seconds = 1790000001;
    m.next_attempt = 1790000300;
    m.attempts = 3;
    m.hold = m.warned = m.expire = true;
    m.redirect = "retry:later";
    return m;
}

constexpr std::string_view kText = "Subject: one\n\nbody\n";

// What is in each golden segment, one record after the other.
std::vector<std::vector<Op>> golden_story() {
    StoredMessage first = full_message("AAAAA1");
    StoredMessage second = full_message("AAAAA2");
    first.inline_length = second.inline_length = kText.size();
    RecipientState sent;
    sent.status = RecipientStatus::kSentNotify;
    sent.result = {"2.0.0", "sent", "r", "", "", "", 1};
    OpAddRecipients added;
    added.id = "AAAAA1";
    added.base = 2;
    added.recipients.emplace_back();
    added.recipients.back().address = "added@example.com";
    added.states.emplace_back();
    OpSchedule schedule;
    schedule.id = "AAAAA1";
    schedule.next_attempt = 1790009999;
    schedule.attempts = 4;
    schedule.warned = true;
    return {{OpNumbers{0x12345}},
            {OpMessage{first, kText}},
            {OpMessage{second, kText}},
            {OpResult{"AAAAA1", 0, sent}, added},
            {schedule},
            {OpRemoved{"AAAAA2"}}};
}

std::string record_of(const std::vector<Op>& ops) {
    RecordBuilder builder;
    for (const auto& op : ops) builder.add(op);
    return builder.take();
}

// As octets, since that shows every member.
std::vector<std::string> read_story(const std::string& segment) {
    SimFiles disk;
    REQUIRE(disk.mkdir("/journal"));
    put(disk, "/journal/00000001.seg", segment);
    Journal journal(disk, "/journal", "/corrupt");
    REQUIRE(journal.open());
    std::vector<std::string> out;
    REQUIRE(journal.replay({}, [&](Position, std::string_view payload, unsigned format) {
        std::vector<Op> ops;
        const bool whole = decode_record(payload, format, ops);
        out.push_back(record_of(ops));
        return whole;
    }));
    CHECK_FALSE(journal.damaged());
    return out;
}

std::vector<std::string> written_story() {
    std::vector<std::string> out;
    for (const auto& ops : golden_story()) out.push_back(record_of(ops));
    return out;
}

StoreOptions options_for(const std::string& index) {
    StoreOptions options;
    options.directory = "/queue";
    options.index_directory = index;
    options.index_map_size = 4 << 20;
    options.boot_id = "boot";
    options.reserve_size = 0;
    return options;
}

// A folder on the real disk, for LMDB.
class IndexFolder {
  public:
    IndexFolder() {
        char name[] = "/tmp/journal-test.XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~IndexFolder() { std::filesystem::remove_all(path_); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}   // namespace

TEST_CASE("a journal of format 1 is read as it was meant") { CHECK(read_story(golden(kFormat1)) == written_story()); }

TEST_CASE("a journal of format 2 is read and written as ever") {
    const std::string bytes = golden(kFormat2);
    CHECK(read_story(bytes) == written_story());
    std::string again = segment_header(1);
    for (const auto& payload : written_story()) append_record(again, payload, 0);
    CHECK(again == bytes);
}

TEST_CASE("members that came after the golden files are on the disk, too") {
    StoredMessage message = full_message("AAAAA1");
    message.envelope.no_milters = message.envelope.unfiltered = true;
    message.envelope.cleanup_service = "subcleanup";
    message.inline_length = kText.size();
    std::vector<Op> ops;
    REQUIRE(decode_record(record_of({OpMessage{message, kText}}), 2, ops));
    REQUIRE(ops.size() == 1);
    const auto& envelope = std::get<OpMessage>(ops[0]).message.envelope;
    CHECK(envelope.no_milters);
    CHECK(envelope.unfiltered);
    CHECK(envelope.cleanup_service == "subcleanup");
}

TEST_CASE("fields that a newer version wrote are kept, an op that it wrote is said") {
    FieldWriter newer;
    newer.text(1, "AAAAA1");   // id
    newer.text(1000, "unheard of");
    FieldWriter recipient;
    recipient.text(1, "to@example.com");
    recipient.text(2000, "neither was this");
    newer.field(20, recipient.bytes());
    newer.field(127, "text");
    FieldWriter record;
    record.field(1, newer.bytes());
    std::vector<Op> ops;
    REQUIRE(decode_record(record.bytes(), 2, ops));
    REQUIRE(ops.size() == 1);
    // Through the index, a result and a schedule, and into the journal again.
    StoredMessage message = decode_message(encode_message(std::get<OpMessage>(ops[0]).message));
    OpSchedule schedule;
    schedule.id = message.id;
    schedule.attempts = 1;
    queued::apply(schedule, message);
    const std::string again = record_of({OpMessage{message, "text"}});
    CHECK(again.find("unheard of") != std::string::npos);
    CHECK(again.find("neither was this") != std::string::npos);

    FieldWriter unknown;
    unknown.field(99, "an op");
    CHECK_FALSE(decode_record(unknown.bytes() + record.bytes(), 2, ops));
    CHECK(ops.size() == 1);   // what is understood counts
}

TEST_CASE("octets that are no record are refused, whatever they are") {
    const std::string whole = record_of(golden_story()[1]);
    std::vector<Op> ops;
    for (size_t cut = 1; cut < whole.size(); ++cut) CHECK_FALSE(decode_record(whole.substr(0, cut), 2, ops));
    for (size_t i = 0; i < whole.size(); ++i) {
        std::string changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ 0x55);
        (void)decode_record(changed, 2, ops);   // no crash
        (void)decode_record(changed, 1, ops);
    }
}

TEST_CASE("damage in the middle of a journal costs the damaged record and nothing else") {
    SimFiles disk;
    REQUIRE(disk.mkdir("/queue"));
    REQUIRE(disk.mkdir("/queue/journal"));
    REQUIRE(disk.mkdir("/queue/large"));
    std::vector<std::string> payloads;
    std::vector<Position> at;
    for (const char* id : {"AAAAA1", "AAAAA2", "AAAAA3"}) {
        StoredMessage message = full_message(id);
        message.large = false;
        message.large_length = 0;
        message.inline_length = kText.size();
        payloads.push_back(record_of({OpMessage{message, kText}}));
    }
    {
        Journal journal(disk, "/queue/journal", "/queue/corrupt");
        REQUIRE(journal.open());
        for (const auto& payload : payloads) {
            std::vector<Position> one;
            REQUIRE(journal.write({payload}, true, one));
            at.push_back(one[0]);
        }
    }
    put(disk, "/queue/large/AAAAA2", "the rest of it");
    const std::string path = "/queue/journal/00000001.seg";
    auto whole = read_file(disk, path);
    REQUIRE(whole);
    const uint64_t record = at[1].offset - kRecordHeader;
    // A flipped bit anywhere in the second record: marker, length, checksum, payload.
    for (uint64_t octet = record; octet < at[2].offset - kRecordHeader; octet += 5) {
        INFO("octet " << octet);
        std::string damaged = *whole;
        damaged[octet] = static_cast<char>(damaged[octet] ^ 0x10);
        auto after = disk.after(Loss::kNothing);
        put(*after, path, damaged);
        IndexFolder index;
        Store store(*after, options_for(index.path()));
        REQUIRE(store.open());
        CHECK(store.exists("AAAAA1"));
        CHECK_FALSE(store.exists("AAAAA2"));
        REQUIRE(store.exists("AAAAA3"));
        CHECK(store.read_head(*store.find("AAAAA3")).value() == kText);
        // Nothing near it is thrown away.
        CHECK(read_file(*after, "/queue/corrupt/journal-00000001.seg").value() == damaged);
        CHECK(read_file(*after, "/queue/corrupt/large-AAAAA2").value() == "the rest of it");
    }
}

TEST_CASE("what was written and never synced may be torn anywhere, and is no damage") {
    SimFiles disk;
    REQUIRE(disk.mkdir("/journal"));
    Journal journal(disk, "/journal", "/corrupt");
    REQUIRE(journal.open());
    std::vector<Position> at;
    REQUIRE(journal.write({"acknowledged"}, true, at));
    REQUIRE(journal.write({"torn", "whole, but behind what is torn"}, false, at));
    auto bytes = read_file(disk, "/journal/00000001.seg");
    REQUIRE(bytes);
    (*bytes)[at[0].offset] ^= 1;
    put(disk, "/journal/00000001.seg", *bytes);
    Journal next(disk, "/journal", "/corrupt");
    REQUIRE(next.open());
    std::vector<std::string> seen;
    REQUIRE(next.replay({}, [&](Position, std::string_view payload, unsigned) {
        seen.emplace_back(payload);
        return true;
    }));
    CHECK(seen == std::vector<std::string>{"acknowledged"});
    CHECK_FALSE(next.damaged());
    CHECK_FALSE(disk.exists("/corrupt"));
}

TEST_CASE("recipients that were added behind a damaged record are not lost with it") {
    StoredMessage message = full_message("AAAAA1");
    OpAddRecipients added;
    added.id = "AAAAA1";
    added.base = 4;   // 2 and 3 were in the record that is gone
    added.recipients.emplace_back();
    added.recipients.back().address = "later@example.com";
    added.states.emplace_back();
    queued::apply(added, message);
    REQUIRE(message.states.size() == 5);
    REQUIRE(message.envelope.recipients.size() == 5);
    CHECK(message.envelope.recipients[4].address == "later@example.com");
    CHECK(message.states[4].status == RecipientStatus::kPending);
    CHECK(message.states[2].status == RecipientStatus::kDone);
}
