#include "libproto/runtime/stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "libproto/runtime/net.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace std::chrono_literals;

namespace {

struct Pair {
    Stream a, b;
};
Pair stream_pair() {
    auto pair = socket_pair();
    return {Stream(std::move(pair->first)), Stream(std::move(pair->second))};
}

Task<void> echo_lines(Stream& stream, int& lines) {
    for (;;) {
        auto line = co_await stream.read_line(1000, 5s);
        if (!line) co_return;
        ++lines;
        std::string reply(line->text);
        reply += "\r\n";
        co_await stream.write(reply);
    }
}

}   // namespace

TEST_CASE("a line ends in CRLF or LF, and bare LF is told") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [a, b] = stream_pair();
        a.put("one\r\ntwo\nthr\ree\r\n\r\n");
        co_await a.flush();
        auto line = co_await b.read_line(10);
        CHECK(line->text == "one");
        CHECK_FALSE(line->bare_lf);
        line = co_await b.read_line(10);
        CHECK(line->text == "two");
        CHECK(line->bare_lf);
        line = co_await b.read_line(10);
        CHECK(line->text == "thr\ree");
        line = co_await b.read_line(10);
        CHECK(line->text.empty());
        CHECK_FALSE(line->bare_lf);
        a.close();
        line = co_await b.read_line(10);
        REQUIRE_FALSE(line);
        CHECK(line.error().code == ENODATA);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a line over its bound is EMSGSIZE and can be skipped") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [a, b] = stream_pair();
        std::string at_limit(100, 'x');
        a.put(at_limit + "\r\n" + at_limit + "y\r\nnext\r\n");
        co_await a.flush();
        auto line = co_await b.read_line(100);
        CHECK(line->text == at_limit);
        line = co_await b.read_line(100);
        REQUIRE_FALSE(line);
        CHECK(line.error().code == EMSGSIZE);
        auto skipped = co_await b.skip_line(1000);
        CHECK(skipped);
        line = co_await b.read_line(100);
        CHECK(line->text == "next");

        // An endless line is refused after the bound, not after all of it.
        Scope scope;
        auto flood = [&, &a = a]() -> Task<void> {
            std::string block(65536, 'z');
            while (co_await a.write(block)) continue;
        };
        scope.spawn(flood());
        line = co_await b.read_line(1000);
        REQUIRE_FALSE(line);
        CHECK(line.error().code == EMSGSIZE);
        skipped = co_await b.skip_line(1 << 20);
        REQUIRE_FALSE(skipped);
        CHECK(skipped.error().code == EMSGSIZE);
        b.close();
        co_await scope.join();
    };
    loop.run_until_complete(body());
}

TEST_CASE("replies to pipelined commands leave together, and before the reader waits") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [a, b] = stream_pair();
        Scope scope;
        int lines = 0;
        scope.spawn(echo_lines(b, lines));
        a.put("a\r\nb\r\nc\r\n");
        co_await a.flush();
        auto all = co_await a.peek_at_least(9, 1s);
        REQUIRE(all);
        CHECK(*all == "a\r\nb\r\nc\r\n");
        CHECK(lines == 3);
        a.close();
        co_await scope.join();
    };
    loop.run_until_complete(body());
}

TEST_CASE("two ends that both write more than the sockets hold do not wait for each other") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [a, b] = stream_pair();
        Scope scope;
        int lines = 0;
        scope.spawn(echo_lines(b, lines));
        constexpr int kCount = 20000;
        auto send = [&, &a = a]() -> Task<void> {
            std::string line(198, 'q');
            line += "\r\n";
            for (int i = 0; i < kCount; ++i) co_await a.write(line);
            co_await a.flush();
        };
        scope.spawn(send());
        std::string all;
        auto read = co_await a.read_exact(all, kCount * 200, 10s);
        CHECK(read);
        CHECK(lines == kCount);
        a.close();
        co_await scope.join();
    };
    loop.run_until_complete(body());
}

TEST_CASE("reads and writes time out, and the stream goes on") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [a, b] = stream_pair();
        auto line = co_await a.read_line(100, 20ms);
        REQUIRE_FALSE(line);
        CHECK(line.error().code == ETIMEDOUT);
        b.put("late\r\n");
        co_await b.flush();
        line = co_await a.read_line(100, 1s);
        REQUIRE(line);
        CHECK(line->text == "late");
        // A short timeout after a long one, while the first one's timer still runs.
        line = co_await a.read_line(100, 10ms);
        CHECK(line.error().code == ETIMEDOUT);

        std::string much(8 << 20, 'x');
        auto written = co_await a.write(much, 30ms);
        REQUIRE_FALSE(written);
        CHECK(written.error().code == ETIMEDOUT);
        CHECK(a.unsent() <= Stream::kHighWater);
    };
    loop.run_until_complete(body());
}

TEST_CASE("the end of the peer is seen even when it comes with the last data") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        for (int round = 0; round < 50; ++round) {
            auto [a, b] = stream_pair();
            Scope scope;
            auto reader = [&]() -> Task<void> {
                auto line = co_await b.read_line(100, 2s);
                CHECK(line);
                line = co_await b.read_line(100, 2s);
                REQUIRE_FALSE(line);
                CHECK(line.error().code == ENODATA);
            };
            scope.spawn(reader());
            if (round % 2) co_await sleep_for(1ms);
            a.put("bye\r\n");
            co_await a.flush();
            a.close();
            co_await scope.join();
        }
    };
    loop.run_until_complete(body());
}

TEST_CASE("closing a stream ends the waits on it") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [a, b] = stream_pair();
        Scope scope;
        int code = 0, write_code = 0;
        auto reader = [&]() -> Task<void> {
            auto line = co_await a.read_line(100);
            code = line ? 0 : line.error().code;
        };
        auto writer = [&]() -> Task<void> {
            std::string much(8 << 20, 'x');
            auto written = co_await a.write(much);
            write_code = written ? 0 : written.error().code;
        };
        scope.spawn(reader());
        scope.spawn(writer());
        co_await sleep_for(5ms);
        a.close();
        co_await scope.join();
        CHECK(code == ECANCELED);
        CHECK(write_code == ECANCELED);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a descriptor closed while it is waited for ends the wait") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto pair = socket_pair();
        Scope scope;
        int code = 0;
        auto waiter = [&]() -> Task<void> {
            auto ready = co_await wait_readable(pair->first.get());
            code = ready ? 0 : ready.error().code;
        };
        scope.spawn(waiter());
        co_await sleep_for(2ms);
        pair->first.reset();
        co_await scope.join();
        CHECK(code == EBADF);
    };
    loop.run_until_complete(body());
}

TEST_CASE("release gives the descriptor with the unread bytes") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [a, b] = stream_pair();
        a.put("first\r\nsecond\r\n");
        co_await a.flush();
        auto line = co_await b.read_line(100);
        CHECK(line->text == "first");
        Handoff handoff = b.release();
        CHECK_FALSE(b.open());
        CHECK(handoff.unread == "second\r\n");
        Stream again(std::move(handoff.fd), std::move(handoff.unread));
        line = co_await again.read_line(100);
        CHECK(line->text == "second");
        a.put("third\r\n");
        co_await a.flush();
        line = co_await again.read_line(100, 1s);
        REQUIRE(line);
        CHECK(line->text == "third");
    };
    loop.run_until_complete(body());
}

TEST_CASE("write_file sends exactly the range") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        char name[] = "/tmp/postcot-file-XXXXXX";
        UniqueFd file(mkstemp(name));
        unlink(name);
        std::string content;
        for (int i = 0; i < 300000; ++i) content += static_cast<char>('a' + i % 26);
        REQUIRE(::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
        auto [a, b] = stream_pair();
        Scope scope;
        auto sender = [&]() -> Task<void> {
            a.put("<");
            auto sent = co_await a.write_file(file.get(), 1000, 200000);
            CHECK(sent);
            a.put(">");
            co_await a.flush();
            sent = co_await a.write_file(file.get(), 299990, 20);
            CHECK_FALSE(sent);
        };
        scope.spawn(sender());
        std::string got;
        auto read = co_await b.read_exact(got, 200002, 5s);
        CHECK(read);
        CHECK((got == "<" + content.substr(1000, 200000) + ">"));
        co_await scope.join();
    };
    loop.run_until_complete(body());
}

TEST_CASE("relay carries both ways until a side closes") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto [client, front] = stream_pair();
        auto [back, session] = stream_pair();
        Scope scope;
        int lines = 0;
        scope.spawn(echo_lines(session, lines));
        scope.spawn(relay(front, back, 5s));
        for (int i = 0; i < 100; ++i) {
            client.put("hello\r\n");
            auto line = co_await client.read_line(100, 1s);
            REQUIRE(line);
            CHECK(line->text == "hello");
        }
        client.close();
        co_await sleep_for(5ms);
        back.close();
        co_await scope.join();
        CHECK(lines == 100);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a slow, a silent and a hostile peer do not hold up another") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto address = SockAddr::ip("127.0.0.1", 0);
        auto listening = listen_tcp(*address);
        REQUIRE(listening);
        sockaddr_storage bound{};
        socklen_t length = sizeof bound;
        getsockname(listening->get(), reinterpret_cast<sockaddr*>(&bound), &length);
        SockAddr server;
        server.storage = bound;
        server.length = length;

        Listener listener(std::move(*listening));
        Scope sessions;
        int lines = 0;
        auto session = [&](UniqueFd fd) -> Task<void> {
            Stream stream(std::move(fd));
            co_await echo_lines(stream, lines);
        };
        auto accepting = [&]() -> Task<void> {
            for (;;) {
                auto accepted = co_await listener.accept();
                if (!accepted) co_return;
                sessions.spawn(session(std::move(accepted->fd)));
            }
        };
        Scope accept_scope;
        accept_scope.spawn(accepting());

        std::vector<UniqueFd> silent;
        for (int i = 0; i < 200; ++i) {
            auto fd = co_await connect_to(server, 1s);
            REQUIRE(fd);
            silent.push_back(std::move(*fd));
        }
        Scope bad;
        auto flood = [&]() -> Task<void> {   // one endless line, nothing ever read
            auto fd = co_await connect_to(server, 1s);
            Stream stream(std::move(*fd));
            std::string block(65536, 'x');
            for (;;) {
                auto written = co_await stream.write(block, 200ms);
                if (!written) co_return;
            }
        };
        auto never_reads = [&]() -> Task<void> {
            auto fd = co_await connect_to(server, 1s);
            Stream stream(std::move(*fd));
            std::string block;
            for (int i = 0; i < 5000; ++i) block += "hello there\r\n";
            for (;;) {
                auto written = co_await stream.write(block, 200ms);
                if (!written) co_return;
            }
        };
        auto slow = [&]() -> Task<void> {
            auto fd = co_await connect_to(server, 1s);
            Stream stream(std::move(*fd));
            for (;;) {
                stream.put("s");
                auto written = co_await stream.flush();
                if (!written) co_return;
                auto slept = co_await sleep_for(5ms);
                if (!slept) co_return;
            }
        };
        bad.spawn(flood());
        bad.spawn(never_reads());
        bad.spawn(slow());
        co_await sleep_for(20ms);

        auto fd = co_await connect_to(server, 1s);
        REQUIRE(fd);
        Stream good(std::move(*fd));
        Millis worst(0);
        for (int i = 0; i < 200; ++i) {
            auto start = std::chrono::steady_clock::now();
            good.put("ping\r\n");
            auto line = co_await good.read_line(100, 2s);
            REQUIRE(line);
            worst = std::max(worst, std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - start));
        }
        CHECK(worst < 500ms);
        bad.cancel();
        co_await bad.join();
        accept_scope.cancel();
        co_await accept_scope.join();
        sessions.cancel();
        co_await sessions.join();
    };
    loop.run_until_complete(body());
}
