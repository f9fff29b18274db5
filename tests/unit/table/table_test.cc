#include "libproto/table/table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "libproto/table/lmdb_file.h"
#include "libproto/table/source.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::table;

namespace {

config::MainCf main_cf(const char* text = "") {
    auto main = config::MainCf::parse(text, "main.cf");
    REQUIRE(main);
    return *main;
}

// The value, "-" when there is none, "! text" for an error.
std::string look(Table& table, std::string_view key) {
    auto found = table.lookup(key);
    if (!found) return "! " + found.error().text;
    return *found ? **found : "-";
}

std::string look(std::string_view spec, std::string_view key) {
    auto table = open_table(spec, main_cf());
    if (!table) return "!! " + table.error().text;
    return look(**table, key);
}

struct Folder {
    Folder() {
        char pattern[] = "/tmp/table-test-XXXXXX";
        path = ::mkdtemp(pattern);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string write(const char* name, const char* text) const {
        std::ofstream(path / name) << text;
        return (path / name).string();
    }
    std::filesystem::path path;
};

}   // namespace

TEST_CASE("DATABASE_README: types that need no file") {
    CHECK(look("inline:{a=b, {c = d e}}", "A") == "b");
    CHECK(look("inline:{a=b, {c = d e}}", "c") == "d e");
    CHECK(look("inline:{a=b}", "x") == "-");
    CHECK(look("inline:a=b", "x").starts_with("!! bad syntax"));
    CHECK(look("static:{a b}", "x") == "a b");
    CHECK(look("fail:why", "x") == "! table fail:why: query error");
    CHECK(look("unionmap:{inline:{a=1},inline:{a=2}}", "a") == "1,2");
    CHECK(look("pipemap:{inline:{a=1},inline:{1=2}}", "a") == "2");
    CHECK(look("pipemap:{inline:{a=1},inline:{4=2}}", "a") == "-");
    CHECK(look("proxy:unix:passwd.byname", "root").starts_with("root:x:0:0:"));
    CHECK(look("unix:passwd.byname", "no-such-user-here") == "-");
    CHECK(look("unix:group.byname", "root") == "root:x:0:");
    CHECK(look("randmap:{x}", "a") == "x");
    CHECK(look("nosuch:x", "a") == "!! unsupported dictionary type: nosuch");
    CHECK(look("static:", "a").starts_with("!! open dictionary"));
}

TEST_CASE("regexp_table(5), pcre_table(5): order, negation, if/endif, substitution; a bad rule is left out and named") {
    const char* rules =
        "/^a(b)c$/ got $1 ${1} $(1) $$\n!/^[az]/ not-az\nif /x/\n/XX/i case\n/xy/ in-if\nendif\n/bad/ $3\n/un(closed/ "
        "v\n/two/w flag\n"
        "/q\\/r/ esc\n#x#  no\nif !/q/\n/zz/ nested\nendif\n";
    Folder folder;
    std::string file = folder.write("rules", rules);
    for (std::string type : {"regexp:", "pcre:"}) {
        INFO(type);
        auto table = open_table(type + file, main_cf());
        REQUIRE(table);
        CHECK(look(**table, "ABC") == "got B B B $");
        CHECK(look(**table, "abc") == "got b b b $");
        CHECK(look(**table, "bcd") == "not-az");
        CHECK(look(**table, "zxy") == "in-if");
        CHECK(look(**table, "zxx") == "-");
        CHECK(look(**table, "aq/r") == "esc");
        CHECK(look(**table, "zz") == "nested");
        REQUIRE((*table)->warnings().size() == 3);
        CHECK((*table)->warnings()[0].find("line 7: out of range replacement index \"3\"") != std::string::npos);
        CHECK_FALSE((*table)->fixed_keys());
    }
    CHECK(look("regexp:{{/(b)/ x$1}}", "abc") == "xb");
    CHECK(look("pcre:{{/^(?<=x)y/ no}, {/\\bb\\b/ word}}", "a b c") == "word");
    CHECK(look("pcre:/no/such/file", "x") == "!! open /no/such/file: No such file or directory");
}

TEST_CASE("cidr_table(5): blocks of both families, negation, if/endif") {
    Folder folder;
    std::string file = folder.write(
        "cidr",
        "10.0.0.0/8 net\nif 192.168.0.0/16\n192.168.1.1 one\n192.168.1.0/24 sub\nendif\n"
        "1.2.3.4/24 bad\n300.1.1.1 x\n!0.0.0.0/0 v4\n::1 six\n2001:db8::/33 doc\n!fe80::/10 v6\n1.1.1.1\n");
    auto table = open_table("cidr:" + file, main_cf());
    REQUIRE(table);
    CHECK(look(**table, "10.1.1.1") == "net");
    CHECK(look(**table, "192.168.1.1") == "one");
    CHECK(look(**table, "192.168.1.77") == "sub");
    CHECK(look(**table, "192.168.2.1") == "-");
    CHECK(look(**table, "::1") == "six");
    CHECK(look(**table, "2001:db8:7fff::1") == "doc");
    CHECK(look(**table, "2001:db8:8000::1") == "v6");
    CHECK(look(**table, "host.example") == "-");
    CHECK((*table)->warnings().size() == 3);
}

TEST_CASE("hash: the index counts; without one, or when the source is newer, the source does") {
    Folder folder;
    std::string source = folder.write("map", "# c\nKey one two\n  three\ndup 1\ndup 2\nlonely\n");
    auto table = open_table("hash:" + source, main_cf());
    REQUIRE(table);
    CHECK(look(**table, "KEY") == "one two  three");
    CHECK(look(**table, "dup") == "1");
    CHECK((*table)->warnings().at(0) == source + ", line 6: expected format: key whitespace value");

    FileOwner owner{::getuid(), ::getgid(), 0644};
    REQUIRE(write_lmdb_file(source + ".db", {{"key", "indexed"}, {"nul", std::string("v\0", 2)}}, owner));
    CHECK(look("hash:" + source, "Key") == "indexed");
    CHECK(look("hash:" + source, "nul") == "v");
    CHECK(look("hash:" + source, std::string(2000, 'x')) == "-");

    timespec later[2] = {{::time(nullptr) + 10, 0}, {::time(nullptr) + 10, 0}};
    ::utimensat(AT_FDCWD, source.c_str(), later, 0);
    CHECK(look("hash:" + source, "key") == "one two  three");
    folder.write("bdb", "k v\n");
    folder.write("bdb.db", "\0\0\0\0 this is what another system's postmap made");
    CHECK(look("hash:" + (folder.path / "bdb").string(), "k") == "v");
    CHECK(look("hash:" + (folder.path / "none").string(), "k").starts_with("! open database "));
}

TEST_CASE("lmdb: an open table follows postmap's replacement of its file") {
    Folder folder;
    std::string source = (folder.path / "m").string();
    FileOwner owner{::getuid(), ::getgid(), 0600};
    REQUIRE(write_lmdb_file(source + ".lmdb", {{"a", "1"}}, owner));
    auto table = open_table("lmdb:" + source, main_cf());
    REQUIRE(table);
    CHECK(look(**table, "a") == "1");
    std::vector<std::pair<std::string, std::string>> many;
    for (int i = 0; i < 20000; ++i) many.emplace_back("key" + std::to_string(i), std::string(100, 'v'));
    many.emplace_back("a", "2");
    REQUIRE(write_lmdb_file(source + ".lmdb", many, owner));
    ::usleep(1100 * 1000);
    CHECK(look(**table, "a") == "2");
    CHECK(look(**table, "key19999").size() == 100);
    struct stat made {};
    ::stat((source + ".lmdb").c_str(), &made);
    CHECK((made.st_mode & 0777) == 0600);
}

TEST_CASE("regexp and texthash: an edit counts within a second; one that cannot be read leaves the old rules") {
    Folder folder;
    auto rules = open_table("regexp:" + folder.write("r", "/a/ one\n"), main_cf());
    std::string text = folder.write("t", "a one\n");
    auto lines = open_table("texthash:" + text, main_cf());
    auto index = open_table("hash:" + text, main_cf());
    REQUIRE(rules);
    REQUIRE(lines);
    folder.write("r", "/a/ second\n");
    folder.write("t", "a second\n");
    ::usleep(1100 * 1000);
    CHECK(look(**rules, "a") == "second");
    CHECK(look(**lines, "a") == "second");
    CHECK(look(**index, "a") == "second");
    std::filesystem::remove(folder.path / "r");
    std::filesystem::remove(text);
    ::usleep(1100 * 1000);
    CHECK(look(**rules, "a") == "second");
    CHECK(look(**index, "a") == "second");
}

TEST_CASE("aliases(5): quoted names, continuation lines, comments; what postalias refuses is named") {
    auto source = read_source(
        "# c\nroot: joe, \"|/bin/x y\", :include:/x\n   , more\nPost Master: root\n\"quoted local\": a\n\"a b\"@x : "
        "b\nlist:\nnocolon here\n"
        "x : a (comment)\n\"q\\\"x\": y\n",
        "al", SourceFormat::kAliases);
    REQUIRE(source.entries.size() == 5);
    CHECK(source.entries[0].value == "joe, \"|/bin/x y\", :include:/x, more");
    CHECK(source.entries[1].key == "Post Master");
    CHECK(source.entries[2].key == "quoted local");
    CHECK(source.entries[3].value == "a");
    CHECK(source.entries[4].key == "q\"x");
    CHECK(source.warnings == std::vector<std::string>{"al, line 6: name must be local",
                                                      "al, line 7: need name:value pair",
                                                      "al, line 8: need name:value pair"});
    Folder folder;
    std::string file = folder.write("aliases", "postmaster: root\n");
    auto main = main_cf(("alias_maps = hash:" + file + "\n").c_str());
    auto maps = Maps::open(main.str("alias_maps"), main, "alias_maps");
    REQUIRE(maps);
    CHECK(maps->find("Postmaster").value() == "root");
}

TEST_CASE("Maps: the first table that knows wins; pattern tables are not asked for partial keys") {
    auto main = main_cf();
    auto maps = Maps::open("inline:{a=1}, regexp:{{/^(a|b)/ 2}}", main, "transport_maps");
    REQUIRE(maps);
    CHECK(maps->find("a").value() == "1");
    CHECK(maps->find("b").value() == "2");
    CHECK_FALSE(maps->find("b", true).value());
    CHECK_FALSE(maps->find("").value());
    CHECK_FALSE(Maps::open("inline:a", main, "transport_maps"));
    CHECK(Maps::open("inline:a", main, "transport_maps").error().text.starts_with("transport_maps: bad syntax"));
    auto absent = Maps::open("cidr:/no/such/file", main, "x");
    REQUIRE(absent);
    CHECK_FALSE(absent->find("1.2.3.4"));
}

TEST_CASE("postconf(5) mynetworks: blocks, negation, bracketed IPv6, files and tables; first match decides") {
    Folder folder;
    std::string file = folder.write("nets", "# office\n198.51.100.0/24\n  !198.51.100.7 203.0.113.1\n");
    auto main = main_cf();
    auto list = MatchList::open("!127.0.0.9 127.0.0.0/8 [::1]/128 [2001:db8::]/32 !" + file +
                                    " 198.51.0.0/16 hash:" + folder.write("map", "192.0.2.1 OK\n"),
                                main, "mynetworks");
    REQUIRE(list);
    auto in = [&](const char* address) { return list->matches_host("unknown", address).value(); };
    CHECK(in("127.0.0.1"));
    CHECK_FALSE(in("127.0.0.9"));
    CHECK(in("::1"));
    CHECK(in("2001:db8::5"));
    CHECK_FALSE(in("2001:db9::5"));
    CHECK_FALSE(in("198.51.100.3"));
    CHECK(in("198.51.101.3"));
    CHECK(in("192.0.2.1"));
    CHECK_FALSE(in("192.0.2.2"));
    CHECK_FALSE(MatchList::open("10.0.0.1/8", main, "mynetworks"));
    auto debian = MatchList::open("[::ffff:127.0.0.0]/104 [::1]/128", main, "mynetworks");
    REQUIRE(debian);
    CHECK(debian->matches_host("unknown", "127.0.0.1").value());
    CHECK(debian->matches_host("unknown", "::ffff:127.0.0.1").value());
    CHECK_FALSE(debian->matches_host("unknown", "128.0.0.1").value());
    CHECK_FALSE(MatchList::open("10.0.0.0/33", main, "mynetworks"));
}

TEST_CASE("postconf(5) relay_domains: parents match subdomains only where parent_domain_matches_subdomains says so") {
    auto main = main_cf("parent_domain_matches_subdomains = relay_domains\n");
    auto relay = MatchList::open("Example.com inline:{{t.example=x}}", main, "relay_domains");
    auto local = MatchList::open("example.com .example.org !no.example.net example.net", main, "mydestination");
    REQUIRE(relay);
    REQUIRE(local);
    CHECK(relay->matches_domain("a.EXAMPLE.com").value());
    CHECK(relay->matches_domain("b.t.example").value());
    CHECK_FALSE(relay->matches_domain("badexample.com").value());
    CHECK(local->matches_domain("example.com").value());
    CHECK_FALSE(local->matches_domain("a.example.com").value());
    CHECK(local->matches_domain("a.example.org").value());
    CHECK_FALSE(local->matches_domain("no.example.net").value());
    auto failing = MatchList::open("fail:x", main, "relay_domains");
    REQUIRE(failing);
    CHECK_FALSE(failing->matches_domain("a"));
}
