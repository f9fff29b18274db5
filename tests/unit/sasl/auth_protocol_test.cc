#include "libproto/sasl/auth_protocol.h"

#include "libproto/sasl/base64.h"
#include "tests/unit/catch.h"

using namespace postcot::sasl;

TEST_CASE("RFC 4648 10: base64 test vectors") {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"f", "Zg=="},
                                                           {"fo", "Zm8="},
                                                           {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="},
                                                           {"fooba", "Zm9vYmE="},
                                                           {"foobar", "Zm9vYmFy"}};
    for (auto& [plain, coded] : vectors) {
        CHECK(base64_encode(plain) == coded);
        CHECK(base64_decode(coded) == std::string(plain));
    }
    for (auto bad : {"Z", "Zg", "Zg=", "Z===", "====", "Zm9v=", "Zg==Zg==", "Z g=", "@@@@", "Zm9v\n"})
        CHECK_FALSE(base64_decode(bad));
}

TEST_CASE("auth protocol: TAB, LF, CR, NUL and 001 are escaped and come back") {
    std::string raw("a\tb\nc\rd\001e\0f", 11);
    auto escaped = tab_escape(raw);
    CHECK(escaped == "a\001tb\001nc\001rd\0011e\0010f");
    CHECK(tab_unescape(escaped) == raw);
    CHECK(tab_unescape("x\001") == "x");
    CHECK(tab_unescape("x\001q") == "xq");
}

TEST_CASE("auth protocol: AUTH with parameters and initial response") {
    auto line =
        parse_client_line("AUTH\t7\tplain\tservice=smtp\tsecured\trip=192.0.2.1\tsession=a\001tb\tresp=AHUAcA==");
    REQUIRE(line);
    CHECK(line->kind == ClientLine::Kind::kAuth);
    CHECK(line->auth.id == 7);
    CHECK(line->auth.mechanism == "PLAIN");
    CHECK(line->auth.parameters.get("service") == "smtp");
    CHECK(line->auth.parameters.has("secured"));
    CHECK(line->auth.parameters.get("session") == "a\tb");
    CHECK_FALSE(line->auth.parameters.has("resp"));
    REQUIRE(line->auth.response);
    CHECK(*line->auth.response == std::string("\0u\0p", 4));

    auto again = parse_client_line(write_auth(line->auth).substr(0, write_auth(line->auth).size() - 1));
    REQUIRE(again);
    CHECK(again->auth.parameters == line->auth.parameters);
    CHECK(again->auth.response == line->auth.response);
}

TEST_CASE("RFC 4954 4: = is an empty initial response, its absence none") {
    CHECK(*parse_client_line("AUTH\t1\tX\tservice=a\tresp==")->auth.response == "");
    CHECK(*parse_client_line("AUTH\t1\tX\tservice=a\tresp=")->auth.response == "");
    CHECK_FALSE(parse_client_line("AUTH\t1\tX\tservice=a")->auth.response);
    CHECK(parse_client_line("AUTH\t1\tX\tservice=a\tresp=@@@")->auth.bad_base64);
}

TEST_CASE("auth protocol: broken client lines are errors") {
    for (auto bad : {"", "FOO\t1", "AUTH", "AUTH\t1\t\001", "AUTH\tx\tPLAIN", "AUTH\t1", "AUTH\t1\t", "AUTH\t-1\tPLAIN",
                     "AUTH\t4294967296\tPLAIN", "CONT\t1", "CONT\t\tAA==", "CANCEL", "CANCEL\tx", "VERSION",
                     "VERSION\t1", "VERSION\tone\t1", "CPID", "CPID\t0", "auth\t1\tPLAIN"}) {
        INFO(bad);
        CHECK_FALSE(parse_client_line(bad));
    }
    std::string many = "AUTH\t1\tPLAIN";
    for (size_t i = 0; i <= kMaxAuthFields; ++i) many += "\ta";
    CHECK_FALSE(parse_client_line(many));
    CHECK(parse_client_line("CONT\t5\t")->cont.response.empty());
    CHECK(parse_client_line("CONT\t5\t*")->cont.bad_base64);
}

TEST_CASE("auth protocol: the greeting of Dovecot 2.3 is read, and ours is the same bytes") {
    const std::string dovecot =
        "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t20592\nCUID\t1\nCOOKIE\t019a37009a09ac11c"
        "ac1a78e636b4042\nDONE\n";
    ServerGreeting greeting;
    size_t start = 0;
    bool done = false;
    while (start < dovecot.size()) {
        auto end = dovecot.find('\n', start);
        auto line = parse_server_line(dovecot.substr(start, end - start));
        start = end + 1;
        REQUIRE(line);
        if (line->kind == ServerLine::Kind::kMechanism) greeting.mechanisms.push_back(line->mechanism);
        if (line->kind == ServerLine::Kind::kServerPid) greeting.server_pid = line->number;
        if (line->kind == ServerLine::Kind::kConnectionId) greeting.connection_id = line->number;
        if (line->kind == ServerLine::Kind::kCookie) greeting.cookie = line->cookie;
        done = line->kind == ServerLine::Kind::kDone;
    }
    CHECK(done);
    REQUIRE(greeting.mechanisms.size() == 2);
    CHECK(greeting.mechanisms[1].plaintext);
    CHECK(write_server_greeting(greeting) == dovecot);
}

TEST_CASE("auth protocol: Dovecot's answers are read") {
    auto ok = parse_server_line("OK\t1\tuser=user01@example.com\t");
    REQUIRE(ok);
    CHECK(ok->kind == ServerLine::Kind::kOk);
    CHECK(ok->fields.get("user") == "user01@example.com");
    CHECK(ok->fields.all().size() == 1);
    auto failed = parse_server_line("FAIL\t5\tcode=invalid_base64\treason=Invalid base64 data in initial response");
    CHECK(failed->fields.get("code") == "invalid_base64");
    auto more = parse_server_line("CONT\t5\tVXNlcm5hbWU6");
    CHECK(more->challenge == "Username:");
    CHECK(parse_server_line("CONT\t4\t")->challenge.empty());
    CHECK(parse_server_line("SOMETHING\tnew")->kind == ServerLine::Kind::kOther);
    for (auto bad : {"OK", "OK\tx", "CONT\t1\t@", "MECH", "SPID\tx", "VERSION\t1"}) CHECK_FALSE(parse_server_line(bad));
}

TEST_CASE("auth protocol: master requests and replies") {
    auto request = parse_master_line("REQUEST\t7\t4242\t1\taabb\tsession_pid=5");
    REQUIRE(request);
    CHECK(request->client_pid == 4242);
    CHECK(request->client_request_id == 1);
    CHECK(request->cookie == "aabb");
    CHECK(write_request(7, 4242, 1, "aabb", request->parameters) == "REQUEST\t7\t4242\t1\taabb\tsession_pid=5\n");
    CHECK(parse_master_line("LIST\t5\tservice=x\tuser=*")->parameters.get("user") == "*");
    CHECK(parse_master_line("CACHE-FLUSH\t5\ta\tb")->users.size() == 2);

    auto user = parse_master_reply("USER\t1\tuser01@example.com\tuid=5000\tgid=5000\thome=/v/u");
    REQUIRE(user);
    CHECK(user->user == "user01@example.com");
    CHECK(user->fields.get("home") == "/v/u");
    CHECK(parse_master_reply("DONE\t4\t")->kind == MasterReply::Kind::kDone);
    CHECK(parse_master_reply("NOTFOUND\t2")->id == 2);
    CHECK(parse_master_reply("OK\t5\t3")->count == 3);
    for (auto bad : {"REQUEST\t7\t4242\t1", "USER\t1", "USER\t1\t", "LIST", "HELLO", "VERSION\t1"})
        CHECK_FALSE(parse_master_line(bad));
    for (auto bad : {"USER\t1", "USER", "OK\t1", "VERSION\tx\t1"}) CHECK_FALSE(parse_master_reply(bad));
}
