#include "libproto/ipc/channel.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libproto/runtime/net.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::ipc;
using namespace std::chrono_literals;

namespace {

struct Greeting {
    static constexpr uint16_t kType = 7;
    std::string text;
    uint64_t number = 0;
    std::vector<std::string> names;
    void encode(Writer& w) const {
        w.str(text);
        w.u64(number);
        w.list(names);
    }
    static Greeting decode(Reader& r) {
        Greeting g;
        g.text = r.str();
        g.number = r.u64();
        g.names = r.list();
        return g;
    }
};

ino_t inode(int fd) {
    struct stat status {};
    fstat(fd, &status);
    return status.st_ino;
}

}   // namespace

TEST_CASE("a truncated or lying message decodes to an error") {
    Writer w;
    Greeting{"hello", 42, {"a", "bb"}}.encode(w);
    std::string bytes = w.take();
    for (size_t n = 0; n < bytes.size(); ++n) {
        Reader r(std::string_view(bytes).substr(0, n));
        Greeting::decode(r);
        CHECK_FALSE(r.ok());
    }
    Reader whole(bytes);
    auto greeting = Greeting::decode(whole);
    CHECK(whole.ok());
    CHECK(whole.at_end());
    CHECK(greeting.names == std::vector<std::string>{"a", "bb"});
    Reader huge(std::string_view("\xff\xff\xff\xff", 4));
    CHECK(huge.list().empty());
    CHECK_FALSE(huge.ok());
}

TEST_CASE("frames arrive whole, in order, with their descriptors") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto pair = socket_pair();
        Channel a(std::move(pair->first)), b(std::move(pair->second));
        Scope scope;
        constexpr int kCount = 3000;
        std::vector<ino_t> sent;
        auto sender = [&]() -> Task<void> {
            for (int i = 0; i < kCount; ++i) {
                Greeting greeting;
                greeting.number = static_cast<uint64_t>(i);
                greeting.text.assign(static_cast<size_t>(i % 700), 'x');
                std::vector<UniqueFd> fds;
                for (int k = 0; k < i % 3; ++k) {
                    int ends[2];
                    REQUIRE(pipe(ends) == 0);
                    sent.push_back(inode(ends[0]));
                    fds.emplace_back(ends[0]);
                    close(ends[1]);
                }
                auto done = co_await a.send_message(greeting, std::move(fds));
                REQUIRE(done);
            }
        };
        scope.spawn(sender());
        size_t seen = 0;
        for (int i = 0; i < kCount; ++i) {
            auto frame = co_await b.receive(5s);
            REQUIRE(frame);
            auto greeting = Channel::unpack<Greeting>(*frame);
            REQUIRE(greeting);
            REQUIRE(greeting->number == static_cast<uint64_t>(i));
            REQUIRE(greeting->text.size() == static_cast<size_t>(i % 700));
            REQUIRE(frame->fds.size() == static_cast<size_t>(i % 3));
            for (auto& fd : frame->fds) REQUIRE(inode(fd.get()) == sent[seen++]);
        }
        co_await scope.join();
        a.close();
        auto end = co_await b.receive(1s);
        REQUIRE_FALSE(end);
        CHECK(end.error().code == ENODATA);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a large frame passes; one over the bound is refused on both sides") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto pair = socket_pair();
        Channel a(std::move(pair->first)), b(std::move(pair->second), 1000);
        Frame big;
        big.payload.assign(5 << 20, 'y');
        auto pair2 = socket_pair();
        Channel c(std::move(pair2->first)), d(std::move(pair2->second));
        Scope scope;
        auto sender = [&]() -> Task<void> {
            Frame copy;
            copy.payload = big.payload;
            co_await c.send(std::move(copy));
        };
        scope.spawn(sender());
        auto got = co_await d.receive(5s);
        REQUIRE(got);
        CHECK((got->payload == big.payload));
        co_await scope.join();

        auto refused = co_await b.send(std::move(big));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == EMSGSIZE);
        Frame medium;
        medium.payload.assign(1001, 'z');
        co_await a.send(std::move(medium));
        auto frame = co_await b.receive(1s);
        REQUIRE_FALSE(frame);
        CHECK(frame.error().code == EMSGSIZE);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a sender waits while the peer does not read, and ends when it goes away") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto pair = socket_pair();
        Channel a(std::move(pair->first));
        Scope scope;
        int sent = 0, code = 0;
        auto sender = [&]() -> Task<void> {
            for (;;) {
                Frame frame;
                frame.payload.assign(50000, 'x');
                auto done = co_await a.send(std::move(frame));
                if (!done) {
                    code = done.error().code;
                    co_return;
                }
                ++sent;
            }
        };
        scope.spawn(sender());
        co_await sleep_for(20ms);
        int before = sent;
        co_await sleep_for(20ms);
        CHECK(sent == before);
        CHECK(sent < 100);
        pair->second.reset();
        co_await scope.join();
        CHECK(code != 0);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a cancelled or timed out receive loses nothing") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto pair = socket_pair();
        Channel a(std::move(pair->first)), b(std::move(pair->second));
        auto nothing = co_await b.receive(5ms);
        REQUIRE_FALSE(nothing);
        CHECK(nothing.error().code == ETIMEDOUT);
        Frame frame;
        frame.type = 3;
        a.post(std::move(frame));
        auto got = co_await b.receive(1s);
        REQUIRE(got);
        CHECK(got->type == 3);
    };
    loop.run_until_complete(body());
}
