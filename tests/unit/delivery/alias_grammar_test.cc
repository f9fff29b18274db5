#include "queued/local/alias_grammar.h"

#include "tests/unit/catch.h"

using namespace postcot::queued;
using Kind = AliasTarget::Kind;

namespace {
std::vector<AliasTarget> one(Kind kind, std::string value) { return {AliasTarget{kind, std::move(value)}}; }
}   // namespace

TEST_CASE("aliases(5): every form of destination") {
    CHECK(parse_destinations("user") == one(Kind::kAddress, "user"));
    CHECK(parse_destinations(" user@example.com ") == one(Kind::kAddress, "user@example.com"));
    CHECK(parse_destinations("\\user") == one(Kind::kExact, "user"));
    CHECK(parse_destinations("\"|/usr/bin/vacation -a x, y\"") == one(Kind::kCommand, "/usr/bin/vacation -a x, y"));
    CHECK(parse_destinations("|/bin/true") == one(Kind::kCommand, "/bin/true"));
    CHECK(parse_destinations("|\"vacation -a x\"") == one(Kind::kCommand, "vacation -a x"));
    CHECK(parse_destinations("~/Maildir2/") == one(Kind::kHomeFile, "~/Maildir2/"));
    CHECK(parse_destinations("/dev/null") == one(Kind::kFile, "/dev/null"));
    CHECK(parse_destinations("\"/var/mail/a b\"") == one(Kind::kFile, "/var/mail/a b"));
    CHECK(parse_destinations(":include:/etc/mail/list") == one(Kind::kInclude, "/etc/mail/list"));
    CHECK(parse_destinations("\":Include:/etc/mail/my list\"") == one(Kind::kInclude, "/etc/mail/my list"));
}

TEST_CASE("aliases(5): a list keeps its order; commas in quotes and comments do not separate") {
    std::vector<AliasTarget> expected = {{Kind::kExact, "user"},
                                         {Kind::kAddress, "a@b.example"},
                                         {Kind::kCommand, "vacation \"Hong, Gildong\""},
                                         {Kind::kAddress, "c@d.example"}};
    CHECK(parse_destinations(
              "\\user, \"Kim, A\" <a@b.example>,, \"|vacation \\\"Hong, Gildong\\\"\", c@d.example (x, y)") ==
          expected);
    CHECK(parse_destinations("\"a b\"@example.com") == one(Kind::kAddress, "a b@example.com"));
    CHECK(parse_destinations("\"a b\"") == one(Kind::kAddress, "a b"));
    CHECK(parse_destinations("\"user\"") == one(Kind::kAddress, "user"));
    CHECK(parse_destinations(" , ,").empty());
    CHECK(parse_destinations("(only a comment)").empty());
}

TEST_CASE("aliases(5): white space and semicolons separate, as from Postfix") {
    std::vector<AliasTarget> expected = {{Kind::kAddress, "a@x.test"}, {Kind::kAddress, "b@x.test"}};
    CHECK(parse_destinations("a@x.test b@x.test") == expected);
    CHECK(parse_destinations("a@x.test; b@x.test") == expected);
    CHECK(parse_destinations("<a@x.test> b@x.test") == expected);
    CHECK(parse_destination_file("a@x.test\n  b@x.test\n") == expected);
}

TEST_CASE("forward(5): lines, comments, CRLF") {
    std::vector<AliasTarget> expected = {{Kind::kAddress, "a"}, {Kind::kAddress, "b"}, {Kind::kFile, "/c"}};
    CHECK(parse_destination_file("# comment\r\na, b\r\n\n/c") == expected);
    CHECK(parse_destination_file("").empty());
}

TEST_CASE("destinations: any bytes end, and the number is bounded") {
    CHECK(parse_destinations("a,b,c,d", 2).size() == 2);
    for (const char* text : {"\"", "\\", "<", "(((", "\"|", "\"\\", "|", ":include:", "/", "a\\"})
        parse_destinations(text);
}
