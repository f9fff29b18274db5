#include "libproto/pop3/command.h"
#include "libproto/pop3/response.h"
#include "libproto/pop3/uidl.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::pop3;

static std::string error_of(std::string_view line) {
    auto c = parse_command(line);
    return c ? "" : c.error().text;
}

TEST_CASE("RFC 1939 5, 7: commands and their arguments") {
    CHECK(std::get<Retr>(*parse_command("retr 12")).number == 12);
    CHECK(std::get<Retr>(*parse_command("RETR  7 ")).number == 7);
    CHECK(std::get<List>(*parse_command("LIST")).number == std::nullopt);
    CHECK(std::get<Uidl>(*parse_command("UIDL 3")).number == 3U);
    CHECK(std::get<Top>(*parse_command("TOP 1 10")).lines == 10);
    CHECK(std::get<Pass>(*parse_command("PASS a b ")).password == "a b ");
    CHECK(std::get<User>(*parse_command("USER me@x.test")).name == "me@x.test");
    auto auth = std::get<Auth>(*parse_command("AUTH plain AGE="));
    CHECK(auth.mechanism == "PLAIN");
    CHECK(auth.initial == "AGE=");
    CHECK(std::get<Auth>(*parse_command("AUTH")).mechanism.empty());
    CHECK(error_of("LIST x") == "Invalid message number: x");
    CHECK(error_of("LIST 1 2") == "Noise after message number:  2");
    CHECK(error_of("RETR") == "Invalid message number: ");
    CHECK(error_of("TOP 1") != "");
    CHECK(error_of("TOP 1 x") != "");
    CHECK(error_of("DELE 99999999999999999999") != "");
    CHECK(error_of("xyz\x01") == "Unknown command: XYZ?");
    CHECK(error_of("") == "Unknown command: ");
}

static std::string stuffed(std::string_view text, uint64_t lines = UINT64_MAX, size_t piece = 1,
                           bool end_header = false) {
    DotStuffer stuffer(lines, end_header);
    std::string out;
    for (size_t i = 0; i < text.size(); i += piece)
        if (!stuffer.feed(text.substr(i, piece), out)) break;
    stuffer.finish(out);
    return out;
}

TEST_CASE("RFC 1939 3: lines that begin with a dot are stuffed, in whatever pieces they come") {
    for (size_t piece : {1u, 2u, 3u, 100u}) {
        CHECK(stuffed("A: b\r\n\r\n.\r\n..x\r\n", UINT64_MAX, piece) == "A: b\r\n\r\n..\r\n...x\r\n.\r\n");
        CHECK(stuffed("A: b\r\n\r\nx", UINT64_MAX, piece) == "A: b\r\n\r\nx\r\n.\r\n");
        CHECK(stuffed("A: b\r\n\r\n1\r\n2\r\n3\r\n", 2, piece) == "A: b\r\n\r\n1\r\n2\r\n.\r\n");
        CHECK(stuffed("A: b\r\n\r\n1\r\n", 0, piece) == "A: b\r\n\r\n.\r\n");
        CHECK(stuffed("A: b\r\n", 5, piece, true) == "A: b\r\n\r\n.\r\n");
    }
    CHECK(stuffed("") == ".\r\n");
}

TEST_CASE("pop3_uidl_format: Dovecot's default and its modifiers") {
    UidlParts parts{2, 0x6b054b5c, "1.M2.host"};
    CHECK(format_uidl("%08Xu%08Xv", parts).value() == "000000026b054b5c");
    CHECK(format_uidl("%v.%u", parts).value() == "1795509084.2");
    CHECK(format_uidl("%f", parts).value() == "1.M2.host");
    CHECK(format_uidl("%{uid | hex(8)}%{uidvalidity | hex(8)}", parts).value() ==
          "000000026b054b5c");   // 2.4's default
    CHECK(format_uidl("%{uidvalidity}-%{guid}", parts).value() == "1795509084-1.M2.host");
    CHECK_FALSE(format_uidl("%q", parts));
    CHECK(format_uidl("%{uid | rot13}", parts).error().text == "pop3_uidl_format: unsupported variable filter 'rot13'");
    CHECK_FALSE(format_uidl("%08", parts));
}
