#include "tests/unit/imapd/server.h"

using namespace postcot;
using namespace postcot::imapd;

namespace {

std::string append_command(size_t size) {
    std::string message = "Subject: x\r\n\r\n" + std::string(size, 'y') + "\r\n";
    return "APPEND INBOX {" + std::to_string(message.size()) + "+}\r\n" + message;
}

void has(const std::string& out, const std::string& part) {
    INFO(out.substr(0, 2000));
    INFO("expected: " << part);
    CHECK(out.find(part) != std::string::npos);
}
void lacks(const std::string& out, const std::string& part) {
    INFO(out.substr(0, 2000));
    INFO("not expected: " << part);
    CHECK(out.find(part) == std::string::npos);
}

Task<void> expunge_timing(TestServer& server) {
    auto a = server.connect();
    auto b = server.connect();
    (void)co_await a->until("login OK");
    (void)co_await b->until("login OK");
    for (int i = 0; i < 3; ++i) (void)co_await a->say(append_command(10));
    (void)co_await a->say("SELECT INBOX");
    (void)co_await b->say("SELECT INBOX");
    (void)co_await b->say("STORE 1 +FLAGS.SILENT (\\Deleted)");
    std::string out = co_await b->say("EXPUNGE");
    has(out, "* 1 EXPUNGE");

    out = co_await a->say("FETCH 1:3 FLAGS");
    lacks(out, "EXPUNGE\r\n");
    has(out, "* 3 FETCH");
    out = co_await a->say("STORE 3 +FLAGS (\\Flagged)");
    lacks(out, "EXPUNGE\r\n");
    out = co_await a->say("SEARCH ALL");
    lacks(out, "EXPUNGE\r\n");
    out = co_await a->say("FETCH 1 BODY.PEEK[]");
    has(out, "NO [EXPUNGEISSUED]");
    out = co_await a->say("NOOP");
    has(out, "* 1 EXPUNGE\r\n");
    lacks(out, "EXISTS");   // the client has counted down
    out = co_await a->say("FETCH 2 (UID)");
    has(out, "* 2 FETCH (UID 3)");
}

Task<void> idle_news(TestServer& server) {
    auto a = server.connect();
    auto b = server.connect();
    (void)co_await a->until("login OK");
    (void)co_await b->until("login OK");
    (void)co_await a->say("SELECT INBOX");
    (void)co_await b->say("SELECT INBOX");
    a->send("i IDLE\r\n");
    (void)co_await a->until("+ idling");
    (void)co_await b->say(append_command(10));
    std::string out = co_await a->until("* 1 EXISTS");
    has(out, "* 1 EXISTS");
    (void)co_await b->say("STORE 1 +FLAGS (\\Answered)");
    out = co_await a->until("* 1 FETCH");
    has(out, "\\Answered");
    a->send("DONE\r\n");
    out = co_await a->until("i ");
    has(out, "i OK ");
}

Task<void> slow_reader(TestServer& server) {
    auto slow = server.connect();
    auto other = server.connect();
    (void)co_await slow->until("login OK");
    (void)co_await other->until("login OK");
    (void)co_await slow->say(append_command(3 << 20));
    (void)co_await slow->say("SELECT INBOX");
    slow->send("f FETCH 1 BODY.PEEK[]\r\n");   // and does not read
    co_await slow->flush();
    (void)co_await other->say("SELECT INBOX");
    std::string out = co_await other->say("FETCH 1 (UID RFC822.SIZE)");
    has(out, "* 1 FETCH (UID 1 ");
}

}   // namespace

TEST_CASE("RFC 3501 7.4.1: EXPUNGE is not told during FETCH, STORE and SEARCH by number, but by the next NOOP") {
    TestServer server;
    server.run(expunge_timing(server));
}

TEST_CASE("RFC 2177: an idling session hears of another's APPEND and STORE at once") {
    TestServer server;
    server.run(idle_news(server));
}

TEST_CASE("A client that asks for much and reads nothing does not stand in the way of the owner's other sessions") {
    TestServer server;
    server.run(slow_reader(server));
}
