#include "queued/cleanup/cleanup.h"

#include <cerrno>

#include "libproto/ipc/maildrop.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;

namespace {

std::unique_ptr<Cleanup> cleanup_with(const std::string& more) {
    auto main = config::MainCf::parse(
        "myhostname = mail.example.com\nmydomain = example.com\nmyorigin = example.com\nmydestination = example.com\n" +
            more,
        "main.cf");
    REQUIRE(main);
    auto cleanup = Cleanup::open(*main);
    REQUIRE(cleanup);
    return std::move(*cleanup);
}

CleanupInput input_to(const std::string& recipient, std::string_view text, bool local) {
    CleanupInput input;
    input.queue_id = "ABCDEF1";
    input.text = text;
    input.envelope.sender = "joe@example.com";
    input.envelope.arrival_seconds = 1700000000;
    input.envelope.local_submission = local;
    if (!recipient.empty()) {
        ipc::Recipient one;
        one.address = recipient;
        input.envelope.recipients.push_back(one);
    }
    return input;
}

}   // namespace

TEST_CASE("cleanup(8): local mail gets the fields it lacks, bare addresses their domain, and loses Bcc") {
    auto cleanup = cleanup_with("");
    auto out =
        cleanup->run(input_to("jane@example.com", "To: jane\nBcc: secret@example.com\nSubject: x\n\nbody\n", true));
    REQUIRE(out);
    REQUIRE(out->changed);
    CHECK(out->replaced == std::string("To: jane\nBcc: secret@example.com\nSubject: x\n\n").size());
    CHECK(out->header.find("To: jane@example.com\n") != std::string::npos);
    CHECK(out->header.find("Bcc") == std::string::npos);
    CHECK(out->header.find("Message-Id: <20231114221320.ABCDEF1@mail.example.com>") != std::string::npos);
    CHECK(out->header.find("Date: Tue, 14 Nov 2023") != std::string::npos);
    CHECK(out->header.find("From: joe@example.com") != std::string::npos);
    CHECK(out->message_id == "<20231114221320.ABCDEF1@mail.example.com>");
    CHECK(out->header.substr(out->header.size() - 2) == "\n\n");
}

TEST_CASE("cleanup(8): mail from outside stays as it is") {
    auto cleanup = cleanup_with("");
    std::string text = "Received: x\nFrom: a\nMessage-Id: <1@x>\n\nbody\n";
    auto out = cleanup->run(input_to("jane@example.com", text, false));
    REQUIRE(out);
    CHECK_FALSE(out->changed);
    CHECK(out->message_id == "<1@x>");
}

TEST_CASE("virtual(5): recipients expand, keep their original and are not repeated") {
    auto cleanup = cleanup_with(
        "virtual_alias_maps = inline:{{team@example.com = a@example.com, b@example.com, a@example.com}}\n");
    auto out = cleanup->run(input_to("team@example.com", "From: x@y\n\n", false));
    REQUIRE(out);
    REQUIRE(out->envelope.recipients.size() == 2);
    CHECK(out->envelope.recipients[0].address == "a@example.com");
    CHECK(out->envelope.recipients[0].original == "team@example.com");
}

TEST_CASE("sendmail -t: recipients come from To, Cc and Bcc") {
    auto cleanup = cleanup_with("");
    auto input = input_to("", "To: a@example.com\nCc: \"B, b\" <b@example.com>\nBcc: c@example.com\n\nbody\n", true);
    input.extract_recipients = true;
    auto out = cleanup->run(std::move(input));
    REQUIRE(out);
    REQUIRE(out->envelope.recipients.size() == 3);
    CHECK(out->envelope.recipients[2].address == "c@example.com");
    CHECK(out->header.find("c@example.com") == std::string::npos);
    auto nobody = input_to("", "Subject: x\n\n", true);
    nobody.extract_recipients = true;
    CHECK_FALSE(cleanup->run(std::move(nobody)));
}

TEST_CASE("hopcount_limit ends a loop") {
    auto cleanup = cleanup_with("hopcount_limit = 3\n");
    auto out = cleanup->run(input_to("a@example.com", "Received: 1\nReceived: 2\nReceived: 3\nReceived: 4\n\n", false));
    REQUIRE_FALSE(out);
    CHECK(out.error().code == 554);
}

TEST_CASE("a maildrop file is read back, and damaged ones are refused at any length") {
    ipc::MaildropHead head;
    head.sender = "joe";
    head.recipients.resize(3);
    head.recipients[1].address = "jane@example.com";
    std::string bytes = ipc::maildrop_prefix(head);
    auto parsed = ipc::parse_maildrop(bytes + "Subject: x\n\n");
    REQUIRE(parsed);
    CHECK(parsed->text_at == bytes.size());
    CHECK(parsed->head.recipients.at(1).address == "jane@example.com");
    for (size_t cut = 0; cut < bytes.size(); ++cut) CHECK_FALSE(ipc::parse_maildrop(bytes.substr(0, cut)));
    for (size_t at = 0; at < bytes.size(); ++at) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(0xFF);
        (void)ipc::parse_maildrop(damaged);   // total: no crash
    }
    CHECK(ipc::parse_maildrop("something else").error().code == EPROTO);
}
