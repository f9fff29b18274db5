#include <cerrno>

#include "libproto/postfix_queue/compose.h"
#include "libproto/postfix_queue/delivery_log.h"
#include "libproto/postfix_queue/message.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::postfix_queue;

namespace {

struct Read {
    Expected<Message> message;
    std::string text;
};

Read read(std::string_view bytes, const Limits& limits = {}) {
    MemorySource source(bytes);
    Read out;
    out.message = read_message(
        source,
        [&out](std::string_view piece) -> Expected<void> {
            out.text += piece;
            return {};
        },
        limits);
    return out;
}

std::string record(char type, std::string_view data) {
    std::string out;
    append_record(out, type, data);
    return out;
}

std::string pointer(size_t target) {
    std::string digits = std::to_string(target);
    return record('p', std::string(15 - digits.size(), ' ') + digits);
}

const std::string kEnvelope = record('T', "1795519816 66565") + record('S', "z@x.test");

}   // namespace

TEST_CASE("a file of Postfix's postdrop(1): VERP, two recipients, -bv's trace flags") {
    // As sendmail -XV of Postfix 3.7 leaves it in the maildrop.
    const std::string bytes(
        "T\x10"
        "1795519816 66565A\x15"
        "rewrite_context=localF\x04"
        "rootS\x08"
        "z@x.testV\x02+=A\x0ftrace_flags=512R\x0br1@far.testR\x0b"
        "r2@far.testM\0N\x0dSubject: verpN\0N\1xX\0E\0",
        141);
    REQUIRE(looks_like_message(bytes));
    auto got = read(bytes);
    REQUIRE(got.message);
    CHECK(got.message->arrival_seconds == 1795519816);
    CHECK(got.message->arrival_microseconds == 66565);
    CHECK(got.message->sender == "z@x.test");
    CHECK(got.message->full_name == "root");
    CHECK(got.message->verp == "+=");
    CHECK(got.message->trace_flags() == Message::kVerifyForUser);
    CHECK(got.message->attribute("rewrite_context") == "local");
    REQUIRE(got.message->recipients.size() == 2);
    CHECK(got.message->recipients[1].address == "r2@far.test");
    CHECK(bytes.substr(got.message->recipients[1].offset, 1) == "R");
    CHECK(got.text == "Subject: verp\n\nx\n");
}

TEST_CASE("what is written is read again: DSN, UTF-8, done recipients, long lines") {
    Message message;
    message.arrival_seconds = 1795519700;
    message.arrival_microseconds = 7;
    message.create_seconds = 1795519701;
    message.sender = "\xC3\xBC@x.test";
    message.envid = "QQ+1";
    message.ret = 2;
    message.smtputf8 = true;
    message.warn_seconds = 1795534100;
    message.filter = "smtp:[127.0.0.1]:10025";
    message.attributes = {{"encoding", "8bit"}, {"log_client_address", "192.0.2.1"}};
    message.recipients.resize(3);
    message.recipients[0].address = "b@far.test";
    message.recipients[0].original = "alias@here.test";
    message.recipients[0].orcpt = "rfc822;b+o@far.test";
    message.recipients[0].notify = 10;
    message.recipients[1].address = "c@far.test";
    message.recipients[1].done = true;
    message.recipients[2].address = "d@far.test";
    const std::string text =
        "Subject: \xC3\xBC\n\n" + std::string(300000, 'x') + "\n" + std::string(2048, 'y') + "\n\nno line end";

    Composer composer(message);
    std::string bytes = composer.head();
    for (size_t at = 0; at < text.size(); at += 777) bytes += composer.text(std::string_view(text).substr(at, 777));
    bytes += composer.end();
    bytes.replace(0, composer.sizes().size(), composer.sizes());
    CHECK(bytes.substr(composer.recipients()[1].offset, 2) == "D\x0A");

    auto got = read(bytes);
    REQUIRE(got.message);
    CHECK(got.text == text);
    const Message& m = *got.message;
    CHECK(m.arrival_microseconds == 7);
    CHECK(m.create_seconds == 1795519701);
    CHECK(m.sender == message.sender);
    CHECK(m.envid == "QQ+1");
    CHECK(m.ret == 2);
    CHECK(m.smtputf8);
    CHECK_FALSE(m.warned);
    CHECK(m.warn_seconds == 1795534100);
    CHECK(m.filter == message.filter);
    CHECK(m.attributes == message.attributes);
    REQUIRE(m.recipients.size() == 3);
    CHECK(m.recipients[0].original == "alias@here.test");
    CHECK(m.recipients[0].orcpt == "rfc822;b+o@far.test");
    CHECK(m.recipients[0].notify == 10);
    CHECK_FALSE(m.recipients[0].done);
    CHECK(m.recipients[1].done);
    CHECK(m.recipients[1].notify == 0);
    CHECK(m.recipients[2].offset == composer.recipients()[2].offset);
    // The fields of the first record: content size, its offset, recipients, 10 << 1, content size, UTF-8 in header and sender.
    CHECK(bytes.substr(2 + 32, 15) == "              3");
    CHECK(bytes.substr(2 + 48, 15) == "             20");
    CHECK(bytes.substr(2 + 80, 15) == "              7");
    size_t content = std::stoul(bytes.substr(2 + 16, 15));
    CHECK(bytes.substr(content - 2, 2) == std::string("M\0", 2));
    CHECK(bytes.substr(content + std::stoul(bytes.substr(2, 15)), 4) == std::string("X\0E\0", 4));
}

TEST_CASE("pointer records are followed, and a circle of them is an error") {
    std::string start = kEnvelope + record('R', "a@far.test");
    // One more recipient was appended behind the end record, and the content was replaced.
    std::string rest = record('M', "");
    std::string tail = record('w', "padding") + pointer(0) + record('X', "") + record('E', "");
    size_t after_pointer = start.size() + 17;
    size_t heap = after_pointer + rest.size() + 17 + tail.size();
    std::string more = record('R', "b@far.test") + pointer(after_pointer);
    std::string body = record('N', "new text") + pointer(after_pointer + rest.size() + 17);
    std::string bytes = start + pointer(heap) + rest + pointer(heap + more.size()) + tail + more + body;
    auto got = read(bytes);
    REQUIRE(got.message);
    CHECK(got.message->recipients.size() == 2);
    CHECK(got.text == "new text\n");

    auto circle = read(kEnvelope + pointer(2));
    REQUIRE_FALSE(circle.message);
    CHECK(circle.message.error().code == EPROTO);
    CHECK_FALSE(read(kEnvelope + pointer(99999)).message);
    CHECK_FALSE(read(kEnvelope + record('p', "  x")).message);
}

TEST_CASE("a damaged queue file is an error, wherever it is cut") {
    const std::string whole = kEnvelope + record('R', "a@far.test") + record('M', "") + record('N', "text") +
                              record('X', "") + record('E', "");
    REQUIRE(read(whole).message);
    for (size_t cut = 0; cut < whole.size(); ++cut) {
        INFO(cut);
        auto got = read(whole.substr(0, cut));
        REQUIRE_FALSE(got.message);
        CHECK(got.message.error().code == EPROTO);
    }
    const std::string content = record('M', "") + record('X', "") + record('E', "");
    CHECK_FALSE(read(record('T', "1 1") + content).message);   // no sender
    CHECK_FALSE(read(record('S', "a@b") + content).message);   // no time
    CHECK_FALSE(read(kEnvelope + record('S', "second") + content).message);
    CHECK_FALSE(read(kEnvelope + record('A', "no equals sign") + content).message);
    CHECK_FALSE(read(kEnvelope + record('A', "notify_flags=3") + content).message);   // NEVER and SUCCESS
    CHECK_FALSE(read(kEnvelope + record('?', "") + content).message);
    CHECK_FALSE(read(kEnvelope + record('M', "") + record('R', "in content") + record('E', "")).message);
    CHECK_FALSE(read(kEnvelope + "N\xFF\xFF\xFF\xFF\x7F").message);   // 34 GB
    CHECK_FALSE(read(kEnvelope + record('R', "a") + record('R', "b") + content, Limits{1, 10}).message);
    CHECK_FALSE(read(kEnvelope + record('A', "a=1") + record('A', "b=2") + content, Limits{1, 1}).message);
}

TEST_CASE("logs of deliveries: Postfix's text is read, ours is read again") {
    auto entries = read_delivery_log(
        "\n<b@far.test>: connect to far.test[192.0.2.9]:25: Connection "
        "refused\nrecipient=b@far.test\noffset=699\ndsn_orig_rcpt=rfc822;b+o@far.test\n"
        "notify_flags=10\nstatus=4.4.1\naction=delayed\ndiag_type=smtp\ndiag_text=450 4.2.0 "
        "later\nmta_type=dns\nmta_mname=far.test\n"
        "reason=connect to far.test[192.0.2.9]:25: Connection refused\n\n"
        "\n<old@far.test>: only the old form\n\nno sense\n\n");
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].recipient == "b@far.test");
    CHECK(entries[0].offset == 699);
    CHECK(entries[0].notify == 10);
    CHECK(entries[0].status == "4.4.1");
    CHECK(entries[0].diagnostic == "smtp; 450 4.2.0 later");
    CHECK(entries[0].remote_mta == "dns; far.test");
    CHECK(entries[0].reason == "connect to far.test[192.0.2.9]:25: Connection refused");
    CHECK(entries[1].recipient == "old@far.test");
    CHECK(entries[1].reason == "only the old form");
    entries[0].original = "b@here.test";
    entries[1].reason = "line\nend";
    auto again = read_delivery_log(compose_delivery_log(entries));
    REQUIRE(again.size() == 2);
    CHECK(again[0].original == "b@here.test");
    CHECK(again[0].diagnostic == entries[0].diagnostic);
    CHECK(again[0].remote_mta == entries[0].remote_mta);
    CHECK(again[1].reason == "line?end");
}
