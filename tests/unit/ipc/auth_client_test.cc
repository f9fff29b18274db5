#include "libproto/ipc/auth_client.h"

#include <unistd.h>

#include "libproto/ipc/auth_master.h"
#include "libproto/ipc/who.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::ipc;

namespace {

// One end for the client, the other for the test, which plays the server line by line.
struct Peer {
    UniqueFd theirs;
    std::unique_ptr<Stream> stream;

    Peer() {
        auto pair = socket_pair();
        REQUIRE(pair);
        theirs = std::move(pair->first);
        stream = std::make_unique<Stream>(std::move(pair->second));
    }
    Task<std::string> line() {
        auto got = co_await stream->read_line(10000, Millis(5000));
        co_return got ? std::string(got->text) : "<" + got.error().text + ">";
    }
    Task<void> say(std::string text) {
        (void)co_await stream->write(text);
        (void)co_await stream->flush();
    }
    Task<void> greet() {
        co_await say(
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t9\nCUID\t3\nCOOKIE\tc00kie\nDONE\n");
        (void)co_await line();
        (void)co_await line();
    }
};

AuthRequest plain(const std::string& response) {
    AuthRequest request;
    request.mechanism = "plain";
    request.service = "smtp";
    request.nologin = true;
    request.initial_response = response;
    return request;
}

Task<void> ask(AuthClient& client, AuthRequest request, Expected<AuthReply>& out) {
    out = co_await client.start(std::move(request), Millis(2000));
}

}   // namespace

TEST_CASE("auth client: answers find their requests, in any order, on one connection") {
    Loop loop;
    auto whole = []() -> Task<void> {
        Scope scope, asking;
        Peer server;
        AuthClient client(
            scope, [&server]() -> Task<Expected<UniqueFd>> { co_return std::move(server.theirs); }, 77);
        Expected<AuthReply> one = AuthReply(), two = AuthReply();
        asking.spawn(ask(client, plain("a"), one));
        asking.spawn(ask(client, plain("b"), two));
        co_await server.greet();
        auto first = co_await server.line();
        auto second = co_await server.line();
        CHECK(first == "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tresp=YQ==");
        CHECK(second == "AUTH\t2\tPLAIN\tservice=smtp\tnologin\tresp=Yg==");
        co_await server.say("OK\t2\tuser=b@x\nFAIL\t1\tuser=a@x\ttemp\treason=later\n");
        co_await asking.join();
        REQUIRE(one);
        REQUIRE(two);
        CHECK(one->kind == AuthReply::Kind::kFail);
        CHECK(one->temporary);
        CHECK(one->reason == "later");
        CHECK(two->kind == AuthReply::Kind::kOk);
        CHECK(two->user == "b@x");
        CHECK(two->client_pid == 77);
        CHECK(two->cookie == "c00kie");
        CHECK(client.mechanisms().size() == 2);

        auto unknown = co_await client.start([] {
            auto request = plain("");
            request.mechanism = "NTLM";
            return request;
        }());
        CHECK(unknown->code == "unsupported");
        scope.cancel();
        co_await scope.join();
    };
    loop.run_until_complete(whole());
}

TEST_CASE("auth client: challenges go round, a lost server fails what is under way and is found again") {
    Loop loop;
    auto whole = []() -> Task<void> {
        Scope scope, asking;
        Peer first, second;
        int connections = 0;
        AuthClient client(scope, [&]() -> Task<Expected<UniqueFd>> {
            co_return std::move(connections++ == 0 ? first.theirs : second.theirs);
        });
        Expected<AuthReply> reply = AuthReply();
        auto request = plain("");
        request.mechanism = "LOGIN";
        request.initial_response.reset();
        asking.spawn(ask(client, request, reply));
        co_await first.greet();
        auto auth = co_await first.line();
        CHECK(auth == "AUTH\t1\tLOGIN\tservice=smtp\tnologin");
        co_await first.say("CONT\t1\tVXNlcm5hbWU6\n");
        co_await asking.join();
        REQUIRE(reply);
        REQUIRE(reply->kind == AuthReply::Kind::kContinue);
        CHECK(reply->challenge == "Username:");
        auto next = [](AuthClient& c, Expected<AuthReply>& out) -> Task<void> {
            out = co_await c.continue_with(1, "ann", Millis(2000));
        };
        asking.spawn(next(client, reply));
        auto cont = co_await first.line();
        CHECK(cont == "CONT\t1\tYW5u");
        first.stream->close();
        co_await asking.join();
        REQUIRE_FALSE(reply);
        CHECK(reply.error().code == ECONNRESET);

        asking.spawn(ask(client, plain("x"), reply));
        co_await second.greet();
        auth = co_await second.line();
        CHECK(auth == "AUTH\t2\tPLAIN\tservice=smtp\tnologin\tresp=eA==");
        // A server that says nothing: the deadline of this request passes, and the server is told.
        Expected<AuthReply> late = AuthReply();
        auto hurried = [](AuthClient& c, Expected<AuthReply>& out) -> Task<void> {
            out = co_await c.start(plain("y"), Millis(50));
        };
        asking.spawn(hurried(client, late));
        (void)co_await second.line();
        auto cancel = co_await second.line();
        CHECK(cancel == "CANCEL\t3");
        co_await second.say("OK\t3\tuser=late\nOK\t2\tuser=x\n");
        co_await asking.join();
        CHECK_FALSE(late);
        REQUIRE(reply);
        CHECK(reply->user == "x");
        scope.cancel();
        co_await scope.join();
    };
    loop.run_until_complete(whole());
}

TEST_CASE("who lines come back as they went") {
    WhoEntry entry{"a\tb", "imap", "2001:db8::1", {1, 22}, 3};
    auto line = write_who(entry);
    CHECK(line == "a\001tb\timap\t2001:db8::1\t1,22\t3\n");
    auto back = parse_who(std::string_view(line).substr(0, line.size() - 1));
    REQUIRE(back);
    CHECK(back->user == entry.user);
    CHECK(back->pids == entry.pids);
    CHECK(back->connections == 3);
    for (auto bad : {"", "a\tb\tc\t1", "a\tb\tc\tx\t1", "a\tb\tc\t1\tx", "a\tb\tc\t1\t1\t1"})
        CHECK_FALSE(parse_who(bad));
}
