#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "libproto/runtime/loop.h"
#include "libproto/runtime/net.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace std::chrono_literals;

namespace {

Task<int> immediate(int value) { co_return value; }

Task<long> sum_without_waiting(int count) {
    long sum = 0;
    for (int i = 0; i < count; ++i) sum += co_await immediate(1);
    co_return sum;
}

Task<void> note_sleep(Millis duration, int& code) {
    auto slept = co_await sleep_for(duration);
    code = slept ? 0 : slept.error().code;
}

Task<int> throws() {
    co_await sleep_for(1ms);
    throw std::runtime_error("bug");
}

}   // namespace

TEST_CASE("a million awaits that never wait use constant stack") {
    Loop loop;
    CHECK(loop.run_until_complete(sum_without_waiting(1000000)) == 1000000);
}

TEST_CASE("an exception reaches the awaiter") {
    Loop loop;
    CHECK_THROWS_AS(loop.run_until_complete(throws()), std::runtime_error);
}

TEST_CASE("cancelling a scope ends every wait under it with ECANCELED") {
    Loop loop;
    int first = -1, second = -1, third = -1;
    auto body = [&]() -> Task<void> {
        Scope scope;
        Event never;
        auto waits_event = [&]() -> Task<void> {
            auto waited = co_await never.wait();
            second = waited ? 0 : waited.error().code;
        };
        auto waits_socket = [&]() -> Task<void> {
            auto pair = socket_pair();
            auto waited = co_await wait_readable(pair->first.get());
            third = waited ? 0 : waited.error().code;
        };
        scope.spawn(note_sleep(60s, first));
        scope.spawn(waits_event());
        scope.spawn(waits_socket());
        co_await sleep_for(5ms);
        scope.cancel();
        co_await scope.join();
    };
    loop.run_until_complete(body());
    CHECK(first == ECANCELED);
    CHECK(second == ECANCELED);
    CHECK(third == ECANCELED);
}

TEST_CASE("a deadline ends what is awaited under it with ETIMEDOUT, and only that") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto late = co_await with_deadline(20ms, sleep_for(60s));
        REQUIRE_FALSE(late);
        CHECK(late.error().code == ETIMEDOUT);
        auto in_time = co_await with_deadline(60s, sleep_for(1ms));
        CHECK(in_time);
        auto outer = co_await with_deadline(20ms, with_deadline(60s, sleep_for(30s)));
        REQUIRE_FALSE(outer);
        CHECK(outer.error().code == ETIMEDOUT);
        auto after = co_await sleep_for(1ms);
        CHECK(after);
    };
    loop.run_until_complete(body());
}

TEST_CASE("an exception in a spawned task ends only that task") {
    Loop loop;
    int slept = -1;
    auto body = [&]() -> Task<void> {
        Scope scope;
        auto bad = []() -> Task<void> { co_await throws(); };
        scope.spawn(bad());
        scope.spawn(note_sleep(10ms, slept));
        co_await scope.join();
    };
    loop.run_until_complete(body());
    CHECK(slept == 0);
}

TEST_CASE("an exception that tears down a scope takes its running tasks with it, and the loop goes on") {
    Loop loop;
    int ended = 0, freed = 0;
    struct Owned {
        int& count;
        ~Owned() { ++count; }
    };
    Mutex mutex;
    Event event;
    auto session = [&]() -> Task<void> {
        Scope inner;
        auto sleeper = [&]() -> Task<void> {
            Owned owned{freed};
            co_await sleep_for(60s);
            ++ended;
        };
        auto worker = [&]() -> Task<void> {
            Owned owned{freed};
            co_await blocking([] { usleep(20000); });
            ++ended;
        };
        auto locker = [&]() -> Task<void> {
            Owned owned{freed};
            auto guard = co_await mutex.lock();
            co_await sleep_for(60s);
            ++ended;
        };
        auto woken = [&]() -> Task<void> {
            Owned owned{freed};
            co_await event.wait();
            ++ended;
        };
        auto nested = [&]() -> Task<void> {
            Owned owned{freed};
            Scope more;
            more.spawn(sleeper());
            co_await more.join();
            ++ended;
        };
        inner.spawn(sleeper());
        inner.spawn(worker());
        inner.spawn(locker());
        inner.spawn(locker());
        inner.spawn(woken());
        inner.spawn(nested());
        co_await sleep_for(1ms);
        event.set();   // woken() is in the ready queue now
        throw std::runtime_error("bug in a session");
    };
    auto body = [&]() -> Task<void> {
        Scope sessions;
        sessions.spawn(session());
        co_await sessions.join();
        auto guard = co_await mutex.lock();
        co_await sleep_for(30ms);
    };
    loop.run_until_complete(body());
    CHECK(ended == 0);
    CHECK(freed == 7);
}

TEST_CASE("a task spawned into a cancelled scope does not wait") {
    Loop loop;
    int code = -1;
    auto body = [&]() -> Task<void> {
        Scope scope;
        scope.cancel();
        scope.spawn(note_sleep(60s, code));
        co_await scope.join();
    };
    loop.run_until_complete(body());
    CHECK(code == ECANCELED);
}

TEST_CASE("a mutex is handed over in order of asking") {
    Loop loop;
    std::string order;
    auto body = [&]() -> Task<void> {
        Scope scope;
        Mutex mutex;
        auto worker = [&](char name) -> Task<void> {
            auto guard = co_await mutex.lock();
            order += name;
            co_await sleep_for(1ms);
            order += name;
        };
        scope.spawn(worker('a'));
        scope.spawn(worker('b'));
        scope.spawn(worker('c'));
        co_await scope.join();
    };
    loop.run_until_complete(body());
    CHECK(order == "aabbcc");
}

TEST_CASE("blocking work runs beside the loop and returns its value or its exception") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        int ticks = 0;
        Scope scope;
        auto ticker = [&]() -> Task<void> {
            for (;;) {
                auto slept = co_await sleep_for(5ms);
                if (!slept) co_return;
                ++ticks;
            }
        };
        scope.spawn(ticker());
        int value = co_await blocking([] {
            usleep(100000);
            return 7;
        });
        CHECK(value == 7);
        CHECK(ticks >= 5);
        scope.cancel();
        co_await scope.join();
        bool thrown = false;
        try {
            co_await blocking([] { throw std::runtime_error("bug"); });
        } catch (const std::runtime_error&) {
            thrown = true;
        }
        CHECK(thrown);
    };
    loop.run_until_complete(body());
}

TEST_CASE("timers fire in order and posts run") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        std::vector<int> order;
        Scope scope;
        auto timer = [&](int ms) -> Task<void> {
            co_await sleep_for(Millis(ms));
            order.push_back(ms);
        };
        for (int ms : {40, 10, 30, 20, 5, 25}) scope.spawn(timer(ms));
        co_await scope.join();
        CHECK(std::is_sorted(order.begin(), order.end()));
        CHECK(order.size() == 6);
        Event event;
        Loop::current().post([&] { event.set(); });
        auto waited = co_await event.wait(1s);
        CHECK(waited);
        event.reset();
        auto timed_out = co_await event.wait(5ms);
        REQUIRE_FALSE(timed_out);
        CHECK(timed_out.error().code == ETIMEDOUT);
    };
    loop.run_until_complete(body());
}

TEST_CASE("signals arrive on the loop") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        Event event;
        Loop::current().on_signal(SIGUSR1, [&] { event.set(); });
        raise(SIGUSR1);
        auto waited = co_await event.wait(1s);
        CHECK(waited);
    };
    loop.run_until_complete(body());
}
