// The expected texts are what Debian's Postfix 3.7.11 made of the same mail.
#include <stdlib.h>
#include <time.h>

#include "queued/bounce/compose.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;

namespace {

DsnSettings settings() {
    setenv("TZ", "UTC", 1);
    tzset();
    DsnSettings out;
    out.myhostname = out.myorigin = "mx.postcot.example";
    out.mydomain = "postcot.example";
    out.delay_warning_time = std::chrono::hours(4);
    out.maximal_queue_lifetime = std::chrono::hours(5 * 24);
    return out;
}

constexpr std::string_view kOriginal =
    "Received: from client.example (localhost [127.0.0.1])\n"
    "\tby mx.postcot.example (Postfix) with ESMTP id 70648A8C826\n"
    "\tfor <nobody2@mx.postcot.example>; Tue, 24 Nov 2026 08:37:42 +0000 (UTC)\n"
    "Subject: hi\n"
    "\n"
    "body line\n";

DsnInput input() {
    DsnInput out;
    out.dsn_queue_id = "76CB9A8C684";
    out.now_seconds = out.arrival_seconds = 1795509462;
    out.to = out.sender = "daemon@mx.postcot.example";
    out.queue_id = "70648A8C826";
    out.original = kOriginal;
    out.original_size = kOriginal.size();
    DsnRecipient recipient;
    recipient.address = "nobody2@mx.postcot.example";
    recipient.action = "failed";
    recipient.status = "5.1.1";
    recipient.text = "unknown user: \"nobody2\"";
    out.recipients.push_back(recipient);
    return out;
}

std::string compose(const DsnInput& in) {
    return compose_dsn(in, load_templates("", settings(), nullptr).value(), settings());
}
bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}   // namespace

TEST_CASE("RFC 3464: a failure, octet for octet as Postfix writes it") {
    CHECK(compose(input()) == R"(Date: Tue, 24 Nov 2026 08:37:42 +0000 (UTC)
From: Mail Delivery System <MAILER-DAEMON@mx.postcot.example>
Subject: Undelivered Mail Returned to Sender
To: daemon@mx.postcot.example
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="70648A8C826.1795509462/mx.postcot.example"
Content-Transfer-Encoding: 8bit
Message-Id: <20261124083742.76CB9A8C684@mx.postcot.example>

This is a MIME-encapsulated message.

--70648A8C826.1795509462/mx.postcot.example
Content-Description: Notification
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

This is the mail system at host mx.postcot.example.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

For further assistance, please send mail to postmaster.

If you do so, please include this problem report. You can
delete your own text from the attached returned message.

                   The mail system

<nobody2@mx.postcot.example>: unknown user: "nobody2"

--70648A8C826.1795509462/mx.postcot.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.postcot.example
X-Postfix-Queue-ID: 70648A8C826
X-Postfix-Sender: rfc822; daemon@mx.postcot.example
Arrival-Date: Tue, 24 Nov 2026 08:37:42 +0000 (UTC)

Final-Recipient: rfc822; nobody2@mx.postcot.example
Original-Recipient: rfc822;nobody2@mx.postcot.example
Action: failed
Status: 5.1.1
Diagnostic-Code: X-Postfix; unknown user: "nobody2"

--70648A8C826.1795509462/mx.postcot.example
Content-Description: Undelivered Message
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Return-Path: <daemon@mx.postcot.example>
)" + std::string(kOriginal) + "\n--70648A8C826.1795509462/mx.postcot.example--\n");
}

TEST_CASE("RFC 3464: a delay warning has headers only, folds long lines and says until when") {
    DsnInput in = input();
    in.kind = DsnKind::kDelay;
    in.retry_until_seconds = in.arrival_seconds + 5 * 86400;
    in.recipients[0].address = "s@slow.example";
    in.recipients[0].action = "delayed";
    in.recipients[0].status = "4.4.1";
    in.recipients[0].text = "connect to slow.example[192.0.2.1]:25: Connection timed out";
    std::string out = compose(in);
    CHECK(contains(out, "Subject: Delayed Mail (still being retried)\n"));
    CHECK(contains(out, "delivered for more than 4 hour(s).\nIt will be retried until it is 5 day(s) old.\n"));
    CHECK(contains(out, "\n<s@slow.example>: connect to slow.example[192.0.2.1]:25: Connection timed out\n"));
    CHECK(contains(out,
                   "Action: delayed\nStatus: 4.4.1\n"
                   "Diagnostic-Code: X-Postfix; connect to slow.example[192.0.2.1]:25: Connection\n    timed out\n"
                   "Will-Retry-Until: Sun, 29 Nov 2026 08:37:42 +0000 (UTC)\n"));
    CHECK(contains(out, "Content-Description: Undelivered Message Headers\nContent-Type: text/rfc822-headers\n"));
    CHECK_FALSE(contains(out, "body line"));
}

TEST_CASE("RFC 3461 6.2, 6.3: RET=HDRS, ENVID, ORCPT, Remote-MTA and the server's words come back") {
    DsnInput in = input();
    in.ret = ipc::Ret::kHeaders;
    in.envid = "QQ314159";
    in.recipients[0].original = "al@mx.postcot.example";
    in.recipients[0].orcpt = "rfc822;Orig@else.example";
    in.recipients[0].remote_mta = "dns; mx.example.com";
    in.recipients[0].diagnostic = "smtp; 550 5.1.1 no\r\nEvil: header";
    std::string out = compose(in);
    CHECK(contains(out, "Reporting-MTA: dns; mx.postcot.example\nOriginal-Envelope-Id: QQ314159\nX-Postfix-Queue-ID"));
    CHECK(contains(out, "Original-Recipient: rfc822;Orig@else.example\n"));
    CHECK(contains(
        out, "Status: 5.1.1\nRemote-MTA: dns; mx.example.com\nDiagnostic-Code: smtp; 550 5.1.1 no? Evil: header\n"));
    CHECK(contains(
        out, "<nobody2@mx.postcot.example> (expanded from <al@mx.postcot.example>): unknown\n    user: \"nobody2\"\n"));
    CHECK(contains(out, "Undelivered Message Headers\nContent-Type: text/rfc822-headers\n"));
    CHECK_FALSE(contains(out, "body line"));
}

TEST_CASE("postconf(5) bounce_size_limit: a large message comes back as its headers") {
    DsnInput in = input();
    in.bounce_size_limit = 100;
    CHECK(contains(compose(in), "Subject: hi\n\n--70648A8C826"));
    in.original = kOriginal.substr(0, 70);   // cut inside the header: whole lines only
    in.original_size = 1 << 20;
    CHECK(contains(compose(in), "(localhost [127.0.0.1])\n\n--70648A8C826"));
}

TEST_CASE("RFC 6533: SMTPUTF8 mail gets the global types and utf-8 addresses") {
    DsnInput in = input();
    in.smtputf8 = true;
    in.recipients[0].address = "유저@mx.postcot.example";
    std::string out = compose(in);
    CHECK(contains(out, "Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n"));
    CHECK(contains(out, "Final-Recipient: utf-8; 유저@mx.postcot.example\n"));
    CHECK(contains(out, "Content-Type: message/global\n"));
}

TEST_CASE("bounce(5): success, verify, and the postmaster's copy") {
    DsnInput in = input();
    in.kind = DsnKind::kSuccess;
    CHECK(contains(compose(in), "Content-Description: Message Headers\n"));
    in.kind = DsnKind::kVerify;
    CHECK(contains(compose(in), "Subject: Mail Delivery Status Report\n"));
    in.kind = DsnKind::kFailure;
    in.postmaster_copy = true;
    std::string out = compose(in);
    CHECK(contains(out, "Subject: Postmaster Copy: Undelivered Mail\n"));
    CHECK(contains(out, "Auto-Submitted: auto-generated\n"));
    CHECK_FALSE(contains(out, "I'm sorry"));
    DsnSettings plain = settings();
    plain.smtputf8_enable = false;
    CHECK_FALSE(contains(compose_dsn(input(), load_templates("", plain, nullptr).value(), plain), "8bit"));
}

TEST_CASE("bounce(5): bounce_template_file replaces what it names, and errors name the line") {
    auto templates = load_templates(
        "# c\n\nfailure_template = <<END\nCharset: utf-8\nSubject: Zurück\n\n$myhostname ${mydomain} $$5 "
        "$maximal_queue_lifetime_hours\nEND\n",
        settings(), nullptr);
    REQUIRE(templates.has_value());
    CHECK(templates->failure.text == "mx.postcot.example postcot.example $5 120\n");
    CHECK(templates->failure.subject == "Zurück");
    CHECK(templates->failure.from == "MAILER-DAEMON (Mail Delivery System)");
    CHECK(templates->delay.subject == "Delayed Mail (still being retried)");
    CHECK_FALSE(load_templates("failure_template = <<END\nx\n", settings(), nullptr).has_value());
    CHECK_FALSE(load_templates("nonsense\n", settings(), nullptr).has_value());
    CHECK_FALSE(load_templates("other_template = <<E\nE\n", settings(), nullptr).has_value());
}
