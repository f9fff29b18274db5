#include "libproto/mime/address.h"
#include "libproto/mime/bodystructure.h"
#include "libproto/mime/charset.h"
#include "libproto/mime/date.h"
#include "libproto/mime/encoded_word.h"
#include "libproto/mime/envelope.h"
#include "libproto/mime/message.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::mime;

TEST_CASE("RFC 2047 8: the examples decode, white space between words vanishes") {
    CHECK(decode_header("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>") == "Keith Moore <moore@cs.utk.edu>");
    CHECK(decode_header("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)") == "(ab)");
    CHECK(decode_header("=?ISO-8859-1?Q?a_b?=") == "a b");
    CHECK(decode_header("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n "
                        "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=") ==
          "If you can read this you understand the example.");
}

TEST_CASE("RFC 2047: a character split over two words is joined; Korean charsets") {
    CHECK(decode_header("=?utf-8?B?7ZWc6riA7J2Y?=") == "한글의");
    CHECK(decode_header("=?utf-8?B?7ZU=?= =?utf-8?B?nOq4gA==?=") == "한글");
    CHECK(decode_header("=?ks_c_5601-1987?B?x9Gx2w==?=") == "한글");
    CHECK(decode_header("=?euc-kr?Q?=C7=D1=B1=DB?=") == "한글");
    CHECK(to_utf8("\x1b$)C\x0eGQ1[\x0f", "iso-2022-kr").value() == "한글");
    CHECK(decode_header("=?nonsense?Q?=C7?=").find('?') == std::string::npos);
}

TEST_CASE("RFC 2047: what encode_header writes reads back") {
    std::string text = "안녕하세요, 이것은 아주 긴 제목입니다. 여러 줄로 나뉘어야 합니다. Grüße";
    CHECK(decode_header(encode_header(text)) == text);
    CHECK(encode_header("plain") == "plain");
}

TEST_CASE("RFC 2231 4.1: continuations and charset") {
    auto p =
        parse_parameterised("message/external-body; access-type=URL;\n URL*0=\"ftp://\";\n URL*1=\"cs.utk.edu/pub\"");
    CHECK(p.parameter("url") == "ftp://cs.utk.edu/pub");
    p = parse_parameterised(
        "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; "
        "title*2=\"isn't it!\"");
    CHECK(p.parameter("title") == "This is even more ***fun*** isn't it!");
    CHECK(parse_parameterised("text/plain; name=\"=?euc-kr?B?x9Gx2w==?=.txt\"").parameter("name") == "한글.txt");
}

TEST_CASE("RFC 5322 3.3: dates, and broken ones") {
    CHECK(parse_date("Fri, 21 Nov 1997 09:55:06 -0600")->seconds == 880127706);
    CHECK(parse_date("21 Nov 97 09:55:06 GMT")->seconds == 880106106);
    CHECK(parse_date("Fri Nov 21 09:55:06 1997")->seconds == 880106106);
    CHECK(parse_date("Thu,\n 13\n  Feb\n 1969\n 23:32\n -0330 (Newfoundland Time)")->seconds == -27723480);
    CHECK(parse_date("Tue, 1 Jul 2003 10:52:37 +0200")->local_day() == days_from_civil(2003, 7, 1));
    CHECK_FALSE(parse_date("yesterday"));
    CHECK_FALSE(parse_date(""));
    CHECK(format_rfc5322(880127706, -360) == "Fri, 21 Nov 1997 09:55:06 -0600");
    CHECK(format_internaldate(1046789725, 0) == " 4-Mar-2003 14:55:25 +0000");
}

static std::string envelope(std::string_view header) {
    std::string out;
    append_imap(out, envelope_of(parse_fields(header)));
    return out;
}

TEST_CASE("RFC 3501 7.4.2: ENVELOPE with groups, comments, defaults") {
    CHECK(
        envelope("From: Fred Foobar <foobar@blurdybloop.com>\nTo: mooch@owatagu.siam.edu\nSubject: afternoon "
                 "\"meeting\"\n\n") ==
        "(NIL {19}\r\nafternoon \"meeting\" ((\"Fred Foobar\" NIL \"foobar\" \"blurdybloop.com\")) "
        "((\"Fred Foobar\" NIL \"foobar\" \"blurdybloop.com\")) ((\"Fred Foobar\" NIL \"foobar\" \"blurdybloop.com\")) "
        "((NIL NIL \"mooch\" \"owatagu.siam.edu\")) NIL NIL NIL NIL)");
    CHECK(envelope("To: A Group:Ed Jones <joe@where.test>,joe@where.test;\n\n")
              .find("((NIL NIL \"A Group\" NIL)(\"Ed Jones\" NIL \"joe\" \"where.test\")(NIL NIL \"joe\" "
                    "\"where.test\")(NIL NIL NIL NIL))") != std::string::npos);
    CHECK(envelope("Cc: pete(his account)@silly.test (Pete)\n\n").find("(\"Pete\" NIL \"pete\" \"silly.test\")") !=
          std::string::npos);
    CHECK(envelope("To: undisclosed\n\n").find("(NIL NIL \"undisclosed\" \"MISSING_DOMAIN\")") != std::string::npos);
    CHECK(envelope("To: <@a.test,@b.test:c@d.test>\n\n").find("(NIL \"@a.test,@b.test\" \"c\" \"d.test\")") !=
          std::string::npos);
    CHECK(envelope("To: \"Joe, Q. \\\"P\\\"\" <\"a b\"@x.test>\n\n")
              .find("({11}\r\nJoe, Q. \"P\" NIL \"a b\" \"x.test\")") != std::string::npos);
}

TEST_CASE("what is only a name has neither mailbox nor domain, as from Dovecot") {
    auto from = [](const std::string& address) {
        std::string out;
        for (const auto& one : parse_addresses(address)) out += one.name + "|" + one.mailbox + "|" + one.host + " ";
        return out;
    };
    CHECK(from("kim lee") == "kim lee|| ");
    CHECK(from("\"x\" y@") == "x y|| ");
    CHECK(from("a b@c, d@e") == "a b|| |d|e ");
    CHECK(from("\"q\"") == "q|| ");
    CHECK(from("J. Doe") == "J. Doe|| ");
    CHECK(from("<@a.b>") == "||a.b ");
    CHECK(from("foo@bar@baz, x@y") == "|foo|bar |x|y ");
    CHECK(from("a . b@c . d") == "|a.b|c.d ");
    CHECK(from("\"a b\"@c") == "|a b|c ");
    CHECK(from("a, <b>, @c, d@") == "|a| |b| ||c |d| ");
}

TEST_CASE("RFC 2045 5.1: a parameter ends with its token or quote, whatever follows") {
    auto parameter = [](const std::string& text, const char* name) {
        return parse_parameterised("a/b; " + text).parameter(name);
    };
    CHECK(parameter("charset=utf-8 (comment); x", "charset") == "utf-8");
    CHECK(parameter("charset=utf-8 junk; name=a", "charset") == "utf-8");
    CHECK(parameter("charset=utf-8 junk; name=a", "name") == "a");
    CHECK(parameter("boundary=\"b\" junk", "boundary") == "b");
    CHECK(parameter("boundary=abc charset=utf-8", "boundary") == "abc");
    CHECK(parameter("boundary=abc\"", "boundary") == "abc");
    CHECK(parameter("boundary=abc,", "boundary") == "abc");
    CHECK(parameter("boundary=abc\r\n charset=utf-8", "boundary") == "abc");
    CHECK(parameter("boundary=----=_Part_1/2:3", "boundary") == "----=_Part_1/2:3");
    CHECK(parameter("name=my file.txt; x=y", "name") == "my file.txt");   // common
}

TEST_CASE("RFC 3516 4.2: quoted-printable's own line ends are CRLF, an encoded octet is what it is") {
    const std::string_view body = "=89PNG=0AG=0D=0A=1A=00A=\nB\nC\r\nD";
    CHECK(decode_transfer(body, "quoted-printable", LineEnds::kCrlf) ==
          std::string("\x89PNG\nG\r\n\x1A\0AB\r\nC\r\nD", 18));
}

TEST_CASE("RFC 5322 3.4.1: a special after a domain's dot ends the domain") {
    for (const char* special : {"\"c\"", "@c", ":c", ")", "<c>", ",", ";", "(c)"}) {
        auto addresses = parse_addresses("<a@b." + std::string(special) + ">");
        REQUIRE_FALSE(addresses.empty());
        CHECK(addresses[0].mailbox == "a");
        CHECK(addresses[0].host == "b.");
    }
}

TEST_CASE("RFC 5256 2.1: base subject") {
    auto base = [](std::string_view s) { return base_subject(s); };
    CHECK(base("Re: Fwd: [list] hello (fwd)") == "hello");
    CHECK(base("[fwd: re: hello]") == "hello");
    CHECK(base("Re [x]: hello") == "hello");
    CHECK(base("[only]") == "[only]");
    CHECK(base("re:") == "");
    CHECK(base("FW:  a\tb ") == "a b");
    bool reply = false;
    base_subject("hello", &reply);
    CHECK_FALSE(reply);
    base_subject("RE: hello", &reply);
    CHECK(reply);
}

TEST_CASE("RFC 3501 5.1.3: modified UTF-7 round trips") {
    CHECK(utf8_to_mutf7("~peter/mail/台北/日本語") == "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    CHECK(mutf7_to_utf8("~peter/mail/&U,BTFw-/&ZeVnLIqe-").value() == "~peter/mail/台北/日本語");
    CHECK(mutf7_to_utf8(utf8_to_mutf7("보낸 편지함 & 😀")).value() == "보낸 편지함 & 😀");
    CHECK_FALSE(mutf7_to_utf8("&Jj"));
    CHECK_FALSE(mutf7_to_utf8("&*-"));
}

static const char kMixed[] =
    "From: a@b\nContent-Type: multipart/mixed; boundary=\"x\"\n\npreamble\n--x\nContent-Type: text/plain; "
    "charset=utf-8\n\nhello\nworld\n"
    "--x\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/alternative; "
    "boundary=x2\n\n--x2\n\none\n--x2\n"
    "Content-Type: text/html\n\n<b>two</b>\n--x2--\n--x--\nepilogue\n";

TEST_CASE("RFC 3501 6.4.5: part numbers go through message/rfc822") {
    std::string_view text = kMixed;
    Part root = parse_message(text);
    REQUIRE(root.children.size() == 2);
    auto get = [&](std::vector<uint32_t> part, Section::Kind kind = Section::Kind::kAll) {
        Section s;
        s.part = std::move(part);
        s.kind = kind;
        auto r = locate(text, root, s);
        return r.found ? std::string(text.substr(r.ranges[0].first, r.ranges[0].second - r.ranges[0].first)) : "-";
    };
    CHECK(get({1}) == "hello\nworld");
    CHECK(get({2, 1}) == "one");
    CHECK(get({2, 2}) == "<b>two</b>");
    CHECK(get({2, 2}, Section::Kind::kMime) == "Content-Type: text/html\n\n");
    CHECK(get({2}, Section::Kind::kHeader) == "Subject: inner\nContent-Type: multipart/alternative; boundary=x2\n\n");
    CHECK(get({1, 1}) == "hello\nworld");
    CHECK(get({1, 2}) == "-");
    CHECK(get({3}) == "-");
    CHECK(get({}) == text);
    Section fields;
    fields.kind = Section::Kind::kHeaderFieldsNot;
    fields.fields = {"a"};
    std::string_view odd = "A: b\nno field\nC: d\n\nbody";
    auto rest = locate(odd, parse_message(odd), fields);
    REQUIRE(rest.ranges.size() == 1);
    CHECK(odd.substr(rest.ranges[0].first, rest.ranges[0].second - rest.ranges[0].first) == "no field\nC: d\n");
    // An inner multipart, with and without an empty line before the outer boundary: as Dovecot counts.
    for (std::string gap : {"", "\n"}) {
        std::string nested =
            "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; "
            "boundary=i\n\n--i\n\nx\n--i--\n" +
            gap + "--o--\n";
        Section first;
        first.part = {1};
        auto inner = locate(nested, parse_message(nested), first).ranges[0];
        CHECK(nested.substr(inner.first, inner.second - inner.first) == "--i\n\nx\n--i--\n");
    }
    std::string_view single = "A: b\n\nbody\n";
    Part one = parse_message(single);
    Section s;
    s.part = {1};
    CHECK(locate(single, one, s).ranges[0] == std::pair<uint64_t, uint64_t>(6, 11));
    CHECK(one.body_crlf == 6);
    CHECK(one.header_crlf == 8);
}

TEST_CASE("RFC 3501 7.4.2: BODYSTRUCTURE") {
    std::string out;
    append_bodystructure(out, kMixed, parse_message(kMixed), true);
    CHECK(out ==
          "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 12 1 NIL NIL NIL NIL)(\"message\" \"rfc822\" "
          "NIL NIL NIL \"7bit\" 134 "
          "(NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL) ((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
          "\"7bit\" 3 0 NIL NIL NIL "
          "NIL)(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0 NIL NIL NIL NIL) \"alternative\" "
          "(\"boundary\" \"x2\") NIL NIL "
          "NIL) 11 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)");
}

static std::string structure_of(const std::string& text) {
    std::string out;
    append_bodystructure(out, text, parse_message(text), false);
    return out;
}

TEST_CASE("RFC 2231 3: BODYSTRUCTURE puts continued parameters together, unless a piece is missing") {
    auto with = [](const std::string& parameters) { return structure_of("Content-Type: a/b; " + parameters + "\n\n"); };
    CHECK(with("Name*1=b; name*0=a; x=y") == "(\"a\" \"b\" (\"x\" \"y\" \"name\" \"ab\") NIL NIL \"7bit\" 0)");
    CHECK(with("name*0*=utf-8''%e2; name*1*=%82%ac; name*2=\"x y\"") ==
          "(\"a\" \"b\" (\"name*\" \"utf-8''%e2%82%acx%20y\") NIL NIL \"7bit\" 0)");
    CHECK(with("name*0=\"a b\"; name*1*=%20c") == "(\"a\" \"b\" (\"name*\" \"''a%20b%20c\") NIL NIL \"7bit\" 0)");
    CHECK(with("name*0=a; name*2=c") == "(\"a\" \"b\" (\"name*0\" \"a\" \"name*2\" \"c\") NIL NIL \"7bit\" 0)");
    CHECK(with("name*=utf-8''a; charset (c) = x") ==
          "(\"a\" \"b\" (\"name*\" \"utf-8''a\" \"charset\" \"x\") NIL NIL \"7bit\" 0)");
}

TEST_CASE("RFC 2046 5.1.1: a boundary at the beginning of a line is enough, the longest one is meant") {
    const std::string head = "Content-Type: multipart/mixed; boundary=x\n\n";
    Part prefix = parse_message(head + "--xy\n\na\n--x--junk\n--x\n\nb\n");
    CHECK(prefix.children.size() == 1);
    Part nested =
        parse_message(head + "--x\nContent-Type: multipart/mixed; boundary=xy\n\n--xy\n\na\n--xy--\n--x\n\nb\n--x--\n");
    REQUIRE(nested.children.size() == 2);
    CHECK(nested.children[0].children.size() == 1);
}

TEST_CASE("RFC 3501 9 media-message: only message/rfc822 has an envelope") {
    CHECK(structure_of("Content-Type: message/global\n\nSubject: x\n") ==
          "(\"message\" \"global\" NIL NIL NIL \"7bit\" 12)");
}

TEST_CASE("MIME: depth and number of parts are bounded") {
    std::string deep;
    for (int i = 0; i < 5000; ++i)
        deep += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "\n\n--b" + std::to_string(i) + "\n";
    Part root = parse_message(deep);
    int depth = 0;
    for (const Part* p = &root; !p->children.empty(); p = &p->children[0]) ++depth;
    CHECK(depth == kMaxDepth);
    std::string wide = "Content-Type: multipart/mixed; boundary=b\n\n";
    for (int i = 0; i < 30000; ++i) wide += "--b\n\nx\n";
    CHECK(parse_message(wide).children.size() <= kMaxParts);
    // What is too deep to be looked into can be fetched as octets.
    CHECK(structure_of(deep).find("\"application\" \"octet-stream\" (\"boundary\" \"b100\")") != std::string::npos);
}

TEST_CASE("RFC 2045 6.7, 6.8: transfer encodings come off") {
    CHECK(decode_transfer("a=\r\nb=3D \nc", "quoted-printable") == "ab=\nc");
    CHECK(decode_transfer("a=3", "quoted-printable") == "a=3");
    CHECK(decode_transfer("=C7=D1", "Quoted-Printable") == "\xC7\xD1");
    CHECK(decode_transfer("aGVs\r\nbG8=", "BASE64") == "hello");
}

TEST_CASE("RFC 5051: case-insensitive and decomposed") {
    CHECK(casemap("Straße") == casemap("STRAßE"));
    CHECK(casemap("é") == casemap("e\xCC\x81"));
    CHECK(casemap("Ünï") == casemap("üNÏ"));
}

TEST_CASE("RFC 8970: preview folds white space and takes out tags") {
    CHECK(preview_of(kMixed, parse_message(kMixed)) == "hello world");
    std::string html =
        "Content-Type: text/html\n\n<html><head><style>x{}</style></head><body><p>a &amp; b</p><br>c</body>";
    CHECK(preview_of(html, parse_message(html)) == "a & b c");
    std::string quoted = "\n> old\n\nnew text 한글\n";
    CHECK(preview_of(quoted, parse_message(quoted), 8) == "new text");
}
