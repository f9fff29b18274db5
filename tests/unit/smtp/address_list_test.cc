#include "libproto/smtp/address_list.h"

#include "libproto/smtp/header_address.h"
#include "tests/unit/catch.h"

using namespace postcot::smtp;

namespace {

using V = std::vector<std::string>;

V read(std::string_view text, AddressListKind kind = AddressListKind::kHeader) {
    V out;
    for (const auto& found : read_address_list(text, kind)) out.push_back(found.address);
    return out;
}

}   // namespace

TEST_CASE("RFC 5322 3.4: addresses, display names, comments, groups and routes") {
    CHECK(read("a@b, \"x, y\" <c@d>, (comment, with comma) e@f (g)") == V{"a@b", "c@d", "e@f"});
    CHECK(read("undisclosed-recipients:;") == V{});
    CHECK(read("friends: a, <b@c>;, d@e") == V{"a", "b@c", "d@e"});
    CHECK(read("grp: a@x.test; c@x.test") == V{"a@x.test", "c@x.test"});
    CHECK(read("one: a; two: b, c;") == V{"a", "b", "c"});
    CHECK(read("<@r1,@r2:u@x.test>") == V{"u@x.test"});
    CHECK(read("\"a b\"@c") == V{"a b@c"});
    CHECK(read("J. R. Doe <a@x.test>, other") == V{"a@x.test", "other"});
    CHECK(read("a @ x . test") == V{"a@x.test"});
    CHECK(read("a@[192.0.2.1]") == V{"a@[192.0.2.1]"});
    CHECK(read("a@x.test\n b@x.test\r\n\tc@x.test") == V{"a@x.test", "b@x.test", "c@x.test"});
}

TEST_CASE("words that stand side by side are addresses, as Postfix reads them") {
    CHECK(read("a@x.test b@x.test, c@x.test") == V{"a@x.test", "b@x.test", "c@x.test"});
    CHECK(read("<a@x.test> b@x.test") == V{"a@x.test", "b@x.test"});
    CHECK(read("b@x.test <a@x.test>") == V{"a@x.test"});   // a display name
    CHECK(read("a@x.test (comment) b@x.test") == V{"a@x.test", "b@x.test"});
    CHECK(read("a@x.test; b@x.test") == V{"a@x.test", "b@x.test"});
    CHECK(read("kim lee") == V{"kim", "lee"});
    CHECK(read("\"a b\" c@x.test") == V{"a b", "c@x.test"});
    CHECK(read("a\"b\"@x.test") == V{"a", "b@x.test"});
    CHECK(read("a%b@x.test c!d") == V{"a%b@x.test", "c!d"});
}

TEST_CASE("what is no address is not dropped") {
    CHECK(read("\"x\" y@") == V{"x", "y@"});
    CHECK(read("<@a.b>") == V{"@a.b"});
    CHECK(read("foo@bar@baz") == V{"foo@bar@baz"});
    CHECK(read("a:b@x.test") == V{"a:b@x.test"});
    CHECK(read("\"unclosed a@x.test") == V{"unclosed a@x.test"});
    CHECK(read("a@x.test (unclosed") == V{"a@x.test"});
    CHECK(read("<a@x.test>, <b@x.test") == V{"a@x.test", "<b@x.test"});
    CHECK(read("a@x.test>") == V{"a@x.test"});
    CHECK(read("a..b@x.test") == V{"a..b@x.test"});
    CHECK(read("(unclosed") == V{});
    CHECK(read(",, <>, \"\"") == V{});
}

TEST_CASE("aliases(5): a bar begins a command, with its words in quotes or without white space") {
    const auto kind = AddressListKind::kDestinations;
    CHECK(read("|\"cmd a, b\" , y@x.test", kind) == V{"|cmd a, b", "y@x.test"});
    CHECK(read("\"|cmd a\" z@x.test", kind) == V{"|cmd a", "z@x.test"});
    CHECK(read("| /bin/true", kind) == V{"|/bin/true"});
    CHECK(read("|/bin/true arg", kind) == V{"|/bin/true", "arg"});
    CHECK(read(":include: /tmp/list, \":include:/a b\"", kind) == V{":include:/tmp/list", ":include:/a b"});
}

TEST_CASE("any octets give a list, in time that grows with their number") {
    for (const char* piece :
         {"<", ">", ";", ":", ",", "@", ".", "\"", "(", "[", "\\", "a ", "a:b;", "<a:", ";>", ":<"}) {
        std::string text;
        for (int i = 0; i < 100000; ++i) text += piece;
        (void)read_address_list(text);
        (void)read_address_list(text, AddressListKind::kDestinations);
    }
}

TEST_CASE("cleanup(8): addresses without a comma between them get one when their header is rewritten") {
    auto qualify = [](std::string_view address) {
        return address.find('@') == std::string_view::npos ? std::string(address) + "@my.org" : std::string(address);
    };
    CHECK(rewrite_addresses("kim lee", qualify) == "kim@my.org, lee@my.org");
    CHECK(rewrite_addresses("<a> b", qualify) == "<a@my.org>, b@my.org");
    CHECK(rewrite_addresses("A B <a>, \"c d\" (e)", qualify) == "A B <a@my.org>, \"c d\"@my.org (e)");
}
