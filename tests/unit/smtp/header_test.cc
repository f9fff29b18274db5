#include "libproto/smtp/header_address.h"
#include "libproto/smtp/header_cleanup.h"
#include "libproto/smtp/received.h"
#include "tests/unit/catch.h"

using namespace postcot::smtp;

namespace {

std::string clean(std::string_view message, const HeaderOptions& options = {}, HeaderFacts* facts = nullptr) {
    std::string first;
    for (size_t step : {message.size(), size_t{1}, size_t{5}}) {   // the pieces do not matter
        HeaderCleanup cleanup(options);
        std::string out;
        for (size_t at = 0; at < message.size(); at += step) cleanup.feed(message.substr(at, step), out);
        cleanup.finish(out);
        if (first.empty()) first = out;
        REQUIRE(out == first);
        if (facts) *facts = cleanup.facts();
    }
    return first;
}

}   // namespace

TEST_CASE("message_drop_headers: Bcc and Return-Path go, the rest stays byte for byte") {
    HeaderFacts facts;
    CHECK(clean("Received: a\nReceived: b\nFrom: x@y\nBcc: a@b,\n c@d\nSubject: one\n two\nReturn-Path: "
                "<z>\nMessage-ID: <1@x>\n\nBcc: body\n",
                {},
                &facts) == "Received: a\nReceived: b\nFrom: x@y\nSubject: one\n two\nMessage-ID: <1@x>\n\nBcc: body\n");
    CHECK(facts.hops == 2);
    CHECK(facts.subject == "one two");
    CHECK(facts.message_id == "<1@x>");
}

TEST_CASE("always_add_missing_headers: Message-Id, Date and From are added for local clients") {
    HeaderOptions options;
    options.add_missing = true;
    options.message_id = "<m@h>";
    options.date = "DATE";
    options.from = "me@h";
    HeaderFacts facts;
    CHECK(clean("Subject: x\n\nbody\n", options, &facts) ==
          "Subject: x\nMessage-Id: <m@h>\nDate: DATE\nFrom: me@h\n\nbody\n");
    CHECK(facts.message_id == "<m@h>");
    CHECK(clean("date: x\nfrom: y\nmessage-id: <z>\n\n", options) == "date: x\nfrom: y\nmessage-id: <z>\n\n");
    CHECK(clean("From: a\nResent-To: b\n\n", options) ==
          "From: a\nResent-To: b\nResent-Message-Id: <m@h>\nResent-Date: DATE\nResent-From: me@h\n\n");
    CHECK(clean("Subject: only a header", options) ==
          "Subject: only a header\nMessage-Id: <m@h>\nDate: DATE\nFrom: me@h\n\n");
}

TEST_CASE("a body without a header gets its empty line; an mbox separator becomes a header") {
    CHECK(clean("just text\nmore\n") == "\njust text\nmore\n");
    CHECK(clean("A: b\nnot a header\n") == "A: b\n\nnot a header\n");
    CHECK(clean(" leading blank\n") == "\n leading blank\n");
    CHECK(clean("From root Mon Jan 1\nA: b\n\nx\n") == "X-Mailbox-Line: From root Mon Jan 1\nA: b\n\nx\n");
    CHECK(clean("\nbody\n") == "\nbody\n");
}

TEST_CASE("header_size_limit: the excess of a header is dropped") {
    HeaderOptions options;
    options.header_size_limit = 20;
    CHECK(clean("Subject: 1234567890123456789012345\nA: b\n\nx\n", options) == "Subject: 12345678901\nA: b\n\nx\n");
    CHECK(clean("S: 1234567890\n 1234567890\n 5\nA: b\n\nx\n", options) == "S: 1234567890\n 5\nA: b\n\nx\n");
}

TEST_CASE("local_header_rewrite_clients: header addresses are rewritten in place") {
    HeaderOptions options;
    options.rewrite = [](std::string_view address, HeaderClass) {
        return address.find('@') == std::string_view::npos ? std::string(address) + "@my.org" : std::string(address);
    };
    CHECK(
        clean("From: root (Cron)\nTo: \"A, B\" <user>, x@y,\n  list: a, b@c;\nX-To: root\n\nTo: root\n", options) ==
        "From: root@my.org (Cron)\nTo: \"A, B\" <user@my.org>, x@y,\n  list: a@my.org, b@c;\nX-To: root\n\nTo: root\n");
}

TEST_CASE("sendmail -t sends to To, Cc and Bcc of the header") {
    using V = std::vector<std::string>;
    HeaderOptions options;
    options.extract_recipients = true;
    HeaderFacts facts;
    clean("To: a@b\nCc: c@d\nBcc: e@f\n\nTo: no\n", options, &facts);
    CHECK(facts.recipients == V{"a@b", "c@d", "e@f"});
}

TEST_CASE("RFC 5321 4.4: Received in Postfix's layout") {
    ReceivedFacts f;
    f.helo_name = "client.example";
    f.client_name = "unknown";
    f.client_address = "2001:db8::1";
    f.my_hostname = "mail.example";
    f.mail_name = "Postfix";
    f.protocol = with_protocol(false, true, true, true, false);
    f.queue_id = "ABC123";
    f.recipient = "u@example";
    f.tls = true;
    f.tls_protocol = "TLSv1.3";
    f.tls_cipher = "TLS_AES_256_GCM_SHA384";
    f.tls_bits = f.tls_algorithm_bits = 256;
    f.sasl_username = "me";
    f.time = 1700000000;
    const auto text = received_header(f);
    CHECK(text.find("Received: from client.example (unknown [IPv6:2001:db8::1])\n"
                    "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\n"
                    "\t(No client certificate requested)\n"
                    "\t(Authenticated sender: me)\n"
                    "\tby mail.example (Postfix) with ESMTPSA id ABC123\n"
                    "\tfor <u@example>; ") == 0);
    CHECK(with_protocol(false, false, true, true, false) == "SMTP");
    CHECK(with_protocol(false, true, true, false, true) == "UTF8SMTPS");
    CHECK(with_protocol(true, true, false, true, false) == "LMTPA");
}
