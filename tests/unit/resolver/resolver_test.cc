#include "libproto/resolver/resolver.h"

#include "tests/unit/catch.h"
#include "tests/unit/resolver/fake_dns.h"

using namespace postcot;
using namespace postcot::dns;

namespace {

struct Fixture {
    FakeDns dns;
    Loop loop;
    std::unique_ptr<Resolver> resolver;
    void start(Millis timeout = Millis(20000)) {
        dns.start();
        ResolverOptions options;
        options.timeout = timeout;
        auto opened = Resolver::open(options);
        REQUIRE(opened.has_value());
        resolver = std::move(*opened);
    }
};

}   // namespace

TEST_CASE("resolver: MX by preference, addresses of both families, names of addresses") {
    Fixture f;
    f.dns.mx("example.com", 20, "b.example.com");
    f.dns.mx("example.com", 10, "A.example.com");
    f.dns.a("a.example.com", "192.0.2.1");
    f.dns.a("a.example.com", "192.0.2.2");
    f.dns.aaaa("a.example.com", "2001:db8::1");
    f.dns.ptr("1.2.0.192.in-addr.arpa", "a.example.com");
    f.dns.ptr("5.1.168.192.in-addr.arpa", "private.example.com");
    f.start();
    auto mx = f.loop.run_until_complete(f.resolver->mx("example.com"));
    REQUIRE(mx.has_value());
    REQUIRE(mx->size() == 2);
    CHECK(mx->at(0).host == "a.example.com");
    CHECK(mx->at(1).preference == 20);
    auto all = f.loop.run_until_complete(f.resolver->addresses("a.example.com", Resolver::Family::kAny, false));
    CHECK(all.value().size() == 3);
    CHECK(all->at(0) == "2001:db8::1");
    auto four = f.loop.run_until_complete(f.resolver->addresses("a.example.com", Resolver::Family::kIpv4, false));
    CHECK(four.value().size() == 2);
    CHECK(f.loop.run_until_complete(f.resolver->reverse("192.0.2.1")).value() == "a.example.com");
    CHECK(f.loop.run_until_complete(f.resolver->reverse("192.168.1.5")).value() == "private.example.com");
}

TEST_CASE("resolver: hosts(5) and localhost") {
    Fixture f;
    f.start();
    CHECK(f.loop.run_until_complete(f.resolver->reverse("192.0.2.77")).value() == "inhosts.example");
    auto in = f.loop.run_until_complete(f.resolver->addresses("inhosts.example", Resolver::Family::kAny, true));
    CHECK(in.value().at(0) == "192.0.2.77");
    auto not_in = f.loop.run_until_complete(f.resolver->addresses("inhosts.example", Resolver::Family::kAny, false));
    CHECK(not_in.error().code == ENOENT);
    auto local = f.loop.run_until_complete(f.resolver->addresses("localhost", Resolver::Family::kIpv4, false));
    CHECK(local.value().at(0) == "127.0.0.1");
}

TEST_CASE("resolver: no such name, no such record, server failure and silence are told apart") {
    Fixture f;
    f.dns.a("only.a.example", "192.0.2.1");
    f.dns.servfail("broken.example");
    f.dns.silent("silent.example");
    f.dns.mx("null.example", 0, "");
    f.start(Millis(1500));
    auto ask = [&](const char* name) { return f.loop.run_until_complete(f.resolver->mx(name)); };
    CHECK(ask("none.example").error().code == ENOENT);
    CHECK(ask("none.example").error().text ==
          "Host or domain name not found. Name service error for name=none.example type=MX: Host not found");
    CHECK(ask("only.a.example").error().code == ENODATA);
    CHECK(ask("broken.example").error().code == EAGAIN);
    CHECK(ask("silent.example").error().code == EAGAIN);
    CHECK(ask("silent.example").error().enhanced == "4.4.3");
    CHECK(ask("bad..name").error().code == EINVAL);
    auto null = ask("null.example");
    REQUIRE(null.has_value());
    CHECK(null->at(0).host.empty());
}

TEST_CASE("resolver: many questions at once, and cancelling one under way") {
    Fixture f;
    for (int i = 0; i < 200; ++i) f.dns.a("h" + std::to_string(i) + ".example", "192.0.2." + std::to_string(i));
    f.dns.silent("silent.example");
    f.start();
    int good = 0;
    auto ask = [&](int i) -> Task<void> {
        auto got = co_await f.resolver->addresses("h" + std::to_string(i) + ".example", Resolver::Family::kIpv4, false);
        if (got && got->at(0) == "192.0.2." + std::to_string(i)) ++good;
    };
    int code = 0;
    auto forever = [&]() -> Task<void> {
        auto got = co_await f.resolver->mx("silent.example");
        if (!got) code = got.error().code;
    };
    auto all = [&]() -> Task<void> {
        Scope scope, endless;
        endless.spawn(forever());
        for (int i = 0; i < 200; ++i) scope.spawn(ask(i));
        co_await scope.join();
        endless.cancel();
        co_await endless.join();
    };
    f.loop.run_until_complete(all());
    CHECK(good == 200);
    CHECK(code == ECANCELED);
}
