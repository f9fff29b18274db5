#include "libproto/imap/command.h"

#include <string>

#include "libproto/imap/mailbox_name.h"
#include "libproto/imap/response.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::imap;

namespace {
template <class T>
T parsed(std::string_view text) {
    Request request = parse_request(text);
    INFO(text);
    INFO((request.command ? std::string() : request.command.error().text));
    REQUIRE(request.command);
    REQUIRE(std::holds_alternative<T>(*request.command));
    return std::get<T>(*request.command);
}
void all_bad(std::initializer_list<std::string> texts) {
    for (const std::string& text : texts) {
        INFO(text);
        CHECK_FALSE(parse_request(text).command);
    }
}
}   // namespace

TEST_CASE("RFC 3501 2.2.1: a command is a tag, a verb in any case and its arguments") {
    Request request = parse_request("a1 noop");
    CHECK(request.tag == "a1");
    CHECK(request.verb == "NOOP");
    CHECK(request.command);
    CHECK(parse_request("").tag.empty());
    CHECK(parse_request("+ NOOP").tag.empty());
    CHECK(parse_request("a1").tag == "a1");
    CHECK(parse_request("a1 UID FETCH 1 FLAGS").verb == "UID FETCH");
    all_bad({"a1 FROB", "a1 NOOP x", "a1 UID NOOP", "a1"});
}

TEST_CASE("RFC 3501 6.2.3: LOGIN takes atoms, quoted strings and literals") {
    auto login = parsed<Login>("a LOGIN \"us\\\"er\" {4}\r\npa s");
    CHECK(login.user == "us\"er");
    CHECK(login.password == "pa s");
    CHECK(parsed<Authenticate>("a authenticate plain AGEAYg==").initial == "AGEAYg==");
    CHECK_FALSE(parsed<Authenticate>("a AUTHENTICATE LOGIN").initial);
    all_bad({"a LOGIN user", "a LOGIN \"user pass", "a LOGIN {3}\r\nab c", std::string("a LOGIN {1}\r\n\0 c", 16)});
}

TEST_CASE("RFC 3501 9: sequence sets; ranges in any order; * is the largest") {
    CHECK(format_ranges(parse_sequence_set("2,4:7,9,12:*")->resolve(15)) == "2,4:7,9,12:15");
    CHECK(format_ranges(parse_sequence_set("*:4,5:7")->resolve(5)) == "4:7");
    CHECK(format_ranges(parse_sequence_set("12:*")->resolve(9)) == "9:12");
    CHECK(parse_sequence_set("*")->resolve(0).empty());
    CHECK(parse_sequence_set("$")->saved);
    // nz-number goes up to 2^32-1, which is a UID like any other.
    CHECK(format_ranges(parse_sequence_set("4294967295")->resolve(5)) == "4294967295");
    CHECK(format_ranges(parse_sequence_set("3:4294967295")->resolve(5)) == "3:4294967295");
    for (const char* wrong : {"", "0", "1,", "1:", ":1", "1:2:3", "a", "4294967296", "-1", "1,,2"})
        CHECK_FALSE(parse_sequence_set(wrong));
    CHECK(format_set({1, 2, 3, 5, 7, 8}) == "1:3,5,7:8");
}

TEST_CASE("RFC 3501 6.4.5: FETCH items, macros, sections and partials") {
    auto fetch = parsed<Fetch>("a FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE \"from\")] BODY.PEEK[4.2.TEXT]<10.20>)");
    REQUIRE(fetch.items.size() == 3);
    CHECK(fetch.items[1].label == "BODY[HEADER.FIELDS (DATE FROM)]");
    CHECK_FALSE(fetch.items[1].peek);
    CHECK(fetch.items[2].peek);
    CHECK(fetch.items[2].label == "BODY[4.2.TEXT]<10>");
    CHECK(fetch.items[2].section.part == std::vector<uint32_t>{4, 2});
    CHECK(fetch.items[2].partial->length == 20);
    CHECK(parsed<Fetch>("a FETCH 1 full").items.size() == 5);
    CHECK(parsed<Fetch>("a FETCH 1 BODY[1.MIME]").items[0].section.kind == mime::Section::Kind::kMime);
    CHECK(parsed<Fetch>("a FETCH 1 BODY").items[0].kind == FetchItem::Kind::kBody);
    CHECK(parsed<Fetch>("a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)").changed_since == 12345u);
    auto resync = parsed<Select>("a SELECT x (QRESYNC (67890007 20050715194045000 41,43:211 (1:2 3:4)))").resync;
    CHECK((resync->uid_validity == 67890007 && resync->modseq == 20050715194045000));
    CHECK(format_ranges(resync->known_uids->ranges) == "41,43:211");
    CHECK_FALSE(parsed<Select>("a SELECT x (QRESYNC (1 2 (1 1)))").resync->known_uids);
    CHECK(parsed<Fetch>("a UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)").vanished);
    all_bad({"a SELECT x (QRESYNC)", "a SELECT x (QRESYNC (1))", "a SELECT x (QRESYNC (1 0))",
             "a SELECT x (QRESYNC (1 2 1:*))", "a SELECT x (QRESYNC (1 2 1 (1)))",
             "a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "a UID FETCH 1 FLAGS (VANISHED)"});
    auto binary =
        parsed<Fetch>("a FETCH 1 (BINARY[1.2]<3.4> BINARY.PEEK[] BINARY.SIZE[2] PREVIEW (LAZY) SAVEDATE)").items;
    REQUIRE(binary.size() == 5);
    CHECK(binary[0].label == "BINARY[1.2]<3>");
    CHECK((binary[0].section.decoded && !binary[0].peek && binary[1].peek));
    CHECK(binary[2].kind == FetchItem::Kind::kBinarySize);
    all_bad({"a FETCH 1 BINARY", "a FETCH 1 BINARY[TEXT]", "a FETCH 1 BINARY[1.]", "a FETCH 1 BINARY.SIZE[1]<0.1>",
             "a FETCH 1 PREVIEW ()"});
    // Spaces too many are forgiven, as Dovecot does.
    CHECK(parsed<Fetch>("a FETCH  1  ( FLAGS  UID )  ").items.size() == 2);
    CHECK(parsed<Fetch>("a FETCH 1 BODY[]<5>").items[0].partial->offset == 5);
    all_bad({"a FETCH", "a FETCH 1", "a FETCH 1 ()", "a FETCH 1 (FLAGS", "a FETCH 1 BODY[", "a FETCH 1 BODY[MIME]",
             "a FETCH 1 BODY[1.]", "a FETCH 1 BODY[0]", "a FETCH 1 BODY[]<0.0>", "a FETCH 1 BODY[]<1.",
             "a FETCH 1 (ALL)", "a FETCH 1 NONSENSE", "a FETCH 1 BODY[HEADER.FIELDS ()]",
             "a FETCH 1 BODY[HEADER.FIELDS]", "a FETCH 1 FLAGS x", "a FETCH 1 BODY[TEXT.1]"});
}

TEST_CASE("RFC 3501 6.4.4: SEARCH keys; NEW is RECENT UNSEEN, OLD is NOT RECENT") {
    auto search = parsed<Search>("a SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\" OR (1:3 SEEN) UID 5 NEW");
    auto& keys = search.key.children;
    REQUIRE(keys.size() == 5);
    CHECK(keys[1].date == Date{1994, 2, 1});
    CHECK(keys[2].negate);
    CHECK(keys[2].text == "Smith");
    CHECK(keys[3].kind == SearchKey::Kind::kOr);
    CHECK(keys[3].children[0].children.size() == 2);
    CHECK(keys[4].children[1].negate);
    CHECK(parsed<Search>("a SEARCH CHARSET utf-8 TEXT {3}\r\nabc").charset == "UTF-8");
    CHECK(parsed<Search>("a SEARCH RETURN (MIN COUNT) ALL").result->count);
    CHECK(parsed<Search>("a SEARCH RETURN () ALL").result->all);
    CHECK(uses_modseq(parsed<Search>("a SEARCH NOT MODSEQ \"/flags/\\\\draft\" all 620162338").key));
    CHECK(parsed<Sort>("a SORT (REVERSE DATE SUBJECT) UTF-8 ALL").order.size() == 2);
    CHECK(parsed<Thread>("a UID THREAD REFS us-ascii ALL").search.uid);
    all_bad({"a SEARCH", "a SEARCH FROM", "a SEARCH (", "a SEARCH ()", "a SEARCH NOT", "a SEARCH OR ALL",
             "a SEARCH BEFORE 31-Feb-2000", "a SEARCH YOUNGER 0", "a SEARCH LARGER x", "a SORT () UTF-8 ALL",
             "a SORT (DATE) ALL", "a THREAD FOO UTF-8 ALL", "a SEARCH RETURN (FOO) ALL", "a SEARCH SEENX"});
    std::string deep = "a SEARCH ";
    for (int i = 0; i < 5000; ++i) deep += "NOT ";
    all_bad({deep + "ALL"});
}

TEST_CASE("RFC 3501 6.4.6: STORE with and without parentheses, .SILENT, UNCHANGEDSINCE") {
    auto store = parsed<Store>("a STORE 2:4 +FLAGS (\\deleted $Work)");
    CHECK(store.flags.deleted);
    CHECK(store.flags.keywords == std::vector<std::string>{"$Work"});
    CHECK(store.how == Store::How::kAdd);
    CHECK(parsed<Store>("a UID STORE 1 -FLAGS.SILENT \\Seen \\Flagged").flags.flagged);
    CHECK(parsed<Store>("a STORE 1 (UNCHANGEDSINCE 5) FLAGS ()").unchanged_since == 5u);
    all_bad({"a STORE 1 FLAGS", "a STORE 1 FLAGZ ()", "a STORE 1 FLAGS (\\Foo)", "a STORE 1 FLAGS (\\Recent)",
             "a STORE 1 FLAGS (a", "a STORE 1 FLAGS ())"});
}

TEST_CASE("RFC 5258: LIST with selection and return options") {
    auto list =
        parsed<List>("a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX \"S*\") RETURN (CHILDREN STATUS (UNSEEN))");
    CHECK(list.patterns.size() == 2);
    CHECK(list.select_recursive_match);
    CHECK(list.return_status->unseen);
    CHECK_FALSE(parsed<List>("a LIST \"\" %").extended);
    CHECK(parsed<List>("a LSUB \"\" *").lsub);
    CHECK(parsed<Status>("a STATUS &ZeVnLIqe- (HIGHESTMODSEQ)").mailbox == "日本語");
    CHECK(parsed<Select>("a SELECT inbox (CONDSTORE)").mailbox == "INBOX");
    all_bad({"a LIST (RECURSIVEMATCH) \"\" *", "a LIST \"\"", "a STATUS INBOX ()", "a SELECT", "a SELECT &bad"});
}

TEST_CASE("RFC 3501 6.3.11: APPEND flags and date-time before the literal") {
    auto append = parsed<Append>("a APPEND saved-messages (\\Seen) \" 7-Feb-1994 22:43:04 -0800\"");
    CHECK(append.flags.seen);
    CHECK(append.date->seconds == 760689784);
    CHECK(format_date_time(*append.date) == "07-Feb-1994 22:43:04 -0800");
    all_bad({"a APPEND x (\\Seen) \"7-Feb-1994\"", "a APPEND x junk"});
}

TEST_CASE("RFC 3501 5.1.3: modified UTF-7 both ways") {
    CHECK(decode_modified_utf7("~peter/mail/&U,BTFw-/&ZeVnLIqe-") == "~peter/mail/台北/日本語");
    CHECK(encode_modified_utf7("~peter/mail/台北/日本語") == "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    CHECK(encode_modified_utf7("a&b") == "a&-b");
    CHECK(decode_modified_utf7(encode_modified_utf7("😀보낸 편지")) == "😀보낸 편지");
    for (const char* wrong : {"&", "&AGE-", "&2D0-", "&*-", "\xff"}) CHECK_FALSE(decode_modified_utf7(wrong));
}

TEST_CASE("RFC 3501 6.3.8: % stops at the separator, * does not") {
    CHECK(matches_list_pattern("*", "a/b", '/'));
    CHECK_FALSE(matches_list_pattern("%", "a/b", '/'));
    CHECK(matches_list_pattern("%/b", "a/b", '/'));
    CHECK(matches_list_pattern("a*c", "a/b/c", '/'));
    CHECK_FALSE(matches_list_pattern("a%c", "a/b/c", '/'));
    CHECK_FALSE(matches_list_pattern("a", "ab", '/'));
    // What a client can make us compare is bounded by the name, not by its pattern.
    CHECK(parsed<List>("a LIST \"\" \"%%*%a**b%%\"").patterns == std::vector<std::string>{"*a*b%"});
    CHECK_FALSE(matches_list_pattern(std::string(60000, 'a'), "ab", '/'));
    CHECK(matches_list_pattern("*a*", "a", '/'));
}

TEST_CASE("RFC 3501 9: a server's strings are quoted when they can be, else literals") {
    std::string out;
    append_string(out, "a\"b\\");
    append_astring(out, "INBOX");
    append_astring(out, "");
    append_string(out, "\xc3\xa9");
    CHECK(out == "\"a\\\"b\\\\\"INBOX\"\"{2}\r\n\xc3\xa9");
    CHECK(tagged("a", "NO", "TRYCREATE", "no\r\nbox") == "a NO [TRYCREATE] no  box\r\n");
}
