#include "libproto/smtp/command.h"
#include "libproto/smtp/ehlo.h"
#include "libproto/smtp/idna.h"
#include "libproto/smtp/queue_id.h"
#include "libproto/smtp/reply.h"
#include "libproto/smtp/xtext.h"
#include "tests/unit/catch.h"

using namespace postcot::smtp;

namespace {

// The path's internal form, or the refusal's code and status.
std::string parsed(std::string_view in, PathKind kind, PathOptions options = {}) {
    std::string_view rest;
    auto path = parse_path(in, kind, options, rest);
    if (!path) return std::to_string(path.error().code) + " " + path.error().enhanced;
    return path->internal() + (rest.empty() ? "" : " | " + std::string(rest));
}
std::string reverse(std::string_view in) { return parsed(in, PathKind::kReverse); }
std::string forward(std::string_view in) { return parsed(in, PathKind::kForward); }
std::string strict(std::string_view in) { return parsed(in, PathKind::kForward, PathOptions{false, true}); }

std::string mail(std::string_view arguments) {
    auto m = parse_mail(arguments, {});
    if (!m) return std::to_string(m.error().code) + " " + m.error().enhanced + " " + m.error().text;
    return m->path.internal();
}

}   // namespace

TEST_CASE("RFC 5321 4.1.2: mailboxes with dot-string, quoted-string and address literal") {
    CHECK(forward("<user@example.com>") == "user@example.com");
    CHECK(forward("<\"a b\"@example.com>") == "a b@example.com");
    CHECK(forward("<\"a\\\"b\"@example.com>") == "a\"b@example.com");
    CHECK(forward("<\"a@b\"@example.com>") == "a@b@example.com");
    CHECK(forward("<user@[192.0.2.1]>") == "user@[192.0.2.1]");
    CHECK(forward("<user@[IPv6:2001:db8::1]>") == "user@[IPv6:2001:db8::1]");
    CHECK(forward("<user@example.com> SIZE=1 X") == "user@example.com | SIZE=1 X");
    CHECK(forward("<o'neil+tag=x@example.com>") == "o'neil+tag=x@example.com");
}

TEST_CASE("RFC 5321 4.1.2: malformed paths are refused") {
    for (auto in : {"",
                    "<",
                    "<>",
                    "<user@>",
                    "<@example.com>",
                    "<user@example.com",
                    "user@example.com>",
                    "<a b@c>",
                    "<user@exa mple.com>",
                    "<user@[300.1.1.1]>",
                    "<user@[192.0.2.1>",
                    "<\"abc@d>",
                    "<user@a..b>",
                    "<user@domain@ours>",
                    "<user@.com>",
                    "<(comment)user@a>",
                    "<user@example.com>junk",
                    "<a@b><c@d>",
                    "<\x01@b>",
                    "<user,two@b>",
                    "<user@b;c>",
                    "<\"\"@b>"}) {
        INFO(in);
        CHECK(forward(in) == "501 5.1.3");
    }
    CHECK(forward(std::string("<user@") + std::string(64, 'a') + ".com>") == "501 5.1.3");
    CHECK(forward("<" + std::string(600, 'a') + "@example.com>") == "501 5.1.3");
    CHECK(reverse("<user@>") == "501 5.1.7");
    CHECK(reverse("<>") == "");
    CHECK(reverse("<> BODY=8BITMIME") == " | BODY=8BITMIME");
}

TEST_CASE("RFC 5321 appendix C: a source route is accepted and ignored") {
    CHECK(forward("<@one.example,@two.example:user@example.com>") == "user@example.com");
    CHECK(forward("<@one:user@example.com>") == "user@example.com");
    CHECK(forward("<@one user@example.com>") == "501 5.1.3");
}

TEST_CASE("strict_rfc821_envelopes: liberal forms are accepted only without it") {
    CHECK(forward("user@example.com") == "user@example.com");
    CHECK(forward("  <user@example.com>") == "user@example.com");
    CHECK(forward("<user>") == "user");
    CHECK(forward("<a..b@example.com>") == "a..b@example.com");
    CHECK(forward("<a.@example.com>") == "a.@example.com");
    CHECK(forward("<user@example.com.>") == "user@example.com");
    CHECK(strict("user@example.com") == "501 5.1.3");
    CHECK(strict(" <user@example.com>") == "501 5.1.3");
    CHECK(strict("<user>") == "501 5.1.3");
    CHECK(strict("<a..b@example.com>") == "501 5.1.3");
    CHECK(strict("<.a@example.com>") == "501 5.1.3");
    CHECK(strict("<user@example.com.>") == "501 5.1.3");
    CHECK(strict("<" + std::string(65, 'a') + "@example.com>") == "501 5.1.3");
    CHECK(strict("<" + std::string(64, 'a') + "@example.com>").size() == 76);
    CHECK(strict("<Postmaster>") == "Postmaster");
}

TEST_CASE("RFC 6531 3.3: UTF-8 paths need SMTPUTF8") {
    CHECK(forward("<\xed\x95\x9c@example.com>") == "553 5.6.7");
    CHECK(parsed("<\xed\x95\x9c@\xec\x98\x88.kr>", PathKind::kForward, PathOptions{true, false}) ==
          "\xed\x95\x9c@\xec\x98\x88.kr");
    CHECK(parsed("<\xff\xfe@example.com>", PathKind::kForward, PathOptions{true, false}) == "501 5.1.3");
    CHECK(*domain_to_ascii("\xed\x95\x9c\xea\xb5\xad.KR") == "xn--3e0b707e.kr");
    CHECK(domain_to_unicode("xn--3e0b707e.kr") == "\xed\x95\x9c\xea\xb5\xad.kr");
}

TEST_CASE("RFC 5321 4.1.2: the local part is quoted on the wire where it must be") {
    CHECK(to_external("a b@c") == "\"a b\"@c");
    CHECK(to_external("a.b@c") == "a.b@c");
    CHECK(to_external("a@b@c") == "\"a@b\"@c");
    CHECK(to_external(".a@c") == "\".a\"@c");
    CHECK(to_external("a\"\\@c") == "\"a\\\"\\\\\"@c");
}

TEST_CASE("MAIL parameters: SIZE, BODY, SMTPUTF8, AUTH, RET, ENVID") {
    auto m =
        parse_mail("FROM:<a@b> SIZE=1000 body=8bitmime SMTPUTF8 AUTH=e+3Dmc2@example.com RET=HDRS ENVID=QQ314159", {});
    REQUIRE(m);
    CHECK(m->parameters.size == 1000u);
    CHECK(m->parameters.body == Body::k8BitMime);
    CHECK(m->parameters.smtputf8);
    CHECK(m->parameters.auth == "e=mc2@example.com");   // RFC 4954 §6's example
    CHECK(m->parameters.ret == Ret::kHeaders);
    CHECK(m->parameters.envid == "QQ314159");
    CHECK(mail("FROM:<a@b> AUTH=<>") == "a@b");
    CHECK(mail("from: a@b") == "a@b");
    CHECK(mail("FROM:<a@b> SIZE=x").substr(0, 9) == "501 5.5.4");
    CHECK(mail("FROM:<a@b> SIZE=").substr(0, 9) == "501 5.5.4");
    CHECK(mail("FROM:<a@b> FOO=1") == "555 5.5.4 Unsupported option: FOO=1");
    CHECK(mail("FROM:<a@b> BODY=BINARYMIME").substr(0, 9) == "555 5.5.4");
    CHECK(mail("FROM:<a@b> RET=ALL").substr(0, 9) == "501 5.5.4");
    CHECK(mail("FROM:<a@b> RET=FULL RET=FULL").substr(0, 9) == "501 5.5.4");
    CHECK(mail("FROM:<a@b> ENVID=a+ZZ").substr(0, 9) == "501 5.5.4");
    CHECK(mail("TO:<a@b>") == "501 5.5.4 Syntax: MAIL FROM:<address>");
    CHECK(mail("FROM <a@b>") == "501 5.5.4 Syntax: MAIL FROM:<address>");
    CHECK(mail("") == "501 5.5.4 Syntax: MAIL FROM:<address>");
}

TEST_CASE("RFC 3461 4: NOTIFY and ORCPT") {
    auto r = parse_rcpt("TO:<bob@example.com> NOTIFY=SUCCESS,delay ORCPT=rfc822;Bob+2Bx@example.com", {}, false);
    REQUIRE(r);
    CHECK(r->parameters.notify == (kNotifySuccess | kNotifyDelay));
    CHECK(r->parameters.orcpt == "rfc822;Bob+x@example.com");
    CHECK(notify_text(r->parameters.notify) == "SUCCESS,DELAY");
    for (auto bad : {"NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY=SUCCESS,", "NOTIFY=FOO", "ORCPT=rfc822", "ORCPT=;a@b",
                     "ORCPT=rfc822;", "ORCPT=rfc822;a+0", "ORCPT=rfc822;a+0Ab", "NOTIFY=NEVER NOTIFY=NEVER"}) {
        INFO(bad);
        auto refused = parse_rcpt("TO:<bob@example.com> " + std::string(bad), {}, false);
        REQUIRE(!refused);
        CHECK(refused.error().code == 501);
    }
    CHECK(parse_rcpt("TO:<a@b> SIZE=1", {}, false).error().code == 555);
    CHECK(*decode_utf8_xtext("\\x{D55C}@example.com") == "\xed\x95\x9c@example.com");
    CHECK(encode_xtext("a+b=c d") == "a+2Bb+3Dc+20d");
    CHECK(*decode_xtext(encode_xtext("a+b=c d")) == "a+b=c d");
}

TEST_CASE("RFC 5321 2.4: verbs in any case; BDAT and AUTH arguments") {
    auto c = split_command("eHlO  client.example ");
    CHECK(c.verb == Verb::kEhlo);
    CHECK(c.arguments == "client.example");
    CHECK(split_command("").verb == Verb::kUnknown);
    CHECK(split_command("MAILFROM:<a@b>").verb == Verb::kUnknown);
    CHECK(parse_bdat("86 last")->last);
    CHECK(parse_bdat("0")->size == 0);
    CHECK(!parse_bdat("-1"));
    CHECK(!parse_bdat("1 2"));
    CHECK(!parse_bdat("1 LAST x"));
    CHECK(parse_auth("plain =")->initial == "");
    CHECK(!parse_auth("plain")->initial);
    CHECK(parse_auth("plain AGE=")->initial == "AGE=");
    CHECK(!parse_auth(""));
}

TEST_CASE("RFC 5321 4.2.1: multi-line replies, parsed and formatted") {
    ReplyParser parser;
    CHECK(*parser.feed("250-mail.example Hello") == false);
    CHECK(*parser.feed("250-SIZE 1024") == false);
    CHECK(*parser.feed("250-AUTH PLAIN login") == false);
    CHECK(*parser.feed("250-AUTH=LOGIN CRAM-MD5") == false);
    CHECK(*parser.feed("250-Pipelining") == false);
    CHECK(*parser.feed("250 CHUNKING") == true);
    auto reply = parser.take();
    auto keywords = parse_ehlo(reply, {"chunking"});
    CHECK(keywords.greeting_name == "mail.example");
    CHECK(keywords.max_size == 1024);
    CHECK(keywords.pipelining);
    CHECK(!keywords.chunking);
    CHECK(keywords.auth == std::vector<std::string>{"PLAIN", "LOGIN", "CRAM-MD5"});

    CHECK(*parser.feed("550-5.1.1 no such") == false);
    CHECK(*parser.feed("550 5.1.1 user") == true);
    reply = parser.take();
    CHECK(reply.text() == "550 5.1.1 no such user");
    CHECK(format_reply(reply) == "550-5.1.1 no such\r\n550 5.1.1 user\r\n");
    CHECK(*parser.feed("250") == true);
    CHECK(parser.take().lines == std::vector<std::string>{""});
    CHECK(!parser.feed("hello"));
    CHECK(!parser.feed("999 x"));
    CHECK(format_reply(250, "2.0.0", "a\r\nb") == "250 2.0.0 a??b\r\n");
    CHECK(format_reply(250, "2.0.0", std::string(2000, 'x')).size() == 512);
}

TEST_CASE("Postfix queue ids: short and long format") {
    CHECK(compose_queue_id(false, {1700000000, 0xabcde}, 0x1f2) == "ABCDE1F2");
    const auto id = compose_queue_id(true, {1700000000, 123456}, 987654);
    CHECK(id.find('z') != std::string::npos);
    CHECK(queue_id_time(id)->seconds == 1700000000);
    CHECK(queue_id_time(id)->microseconds == 123456);
    CHECK(is_queue_id("4JpBgX5q4tz3pr"));
    CHECK(!is_queue_id("../../etc"));
    CHECK(!queue_id_time("ABCDE1F2"));
}
