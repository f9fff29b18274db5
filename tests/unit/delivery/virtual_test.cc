// What smtpd takes for a mailbox, virtual(8) finds: one look-up order for both (address/lookup.h).
#include "queued/local/virtual.h"

#include <random>

#include "libproto/address/validate.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::queued;

namespace {

config::MainCf parse(const std::string& more) {
    auto main = config::MainCf::parse(
        "compatibility_level = 3.6\nmyhostname = mx.example.com\nmydomain = example.com\n"
        "inet_interfaces = 127.0.0.1\nrecipient_delimiter = +\nalias_maps =\n" +
            more,
        "main.cf");
    REQUIRE(main);
    return std::move(*main);
}

std::unique_ptr<VirtualMailboxes> mailboxes(const config::MainCf& main) {
    auto opened = VirtualMailboxes::open(main);
    REQUIRE(opened);
    return std::move(*opened);
}

std::string path(const VirtualMailboxes& agent, const std::string& address) {
    ipc::Recipient recipient;
    recipient.address = address;
    auto decision = agent.decide(recipient);
    if (decision.result) return decision.result->dsn;
    return decision.action.path;
}

std::shared_ptr<const address::Validator> validator(const config::MainCf& main) {
    auto resolver = address::Resolver::open(main);
    REQUIRE(resolver);
    auto cleanup = address::Cleanup::open(main, *resolver);
    REQUIRE(cleanup);
    auto out = address::Validator::open(main, *cleanup);
    REQUIRE(out);
    return *out;
}

}   // namespace

TEST_CASE("virtual(8): a bare local part is a key where the domain is $myorigin or our own") {
    auto main = parse(
        "myorigin = example.com\nmydestination = own.test\nvirtual_mailbox_domains = example.com, other.test\n"
        "virtual_mailbox_maps = inline:{ a=bare, b+x=extension, c@example.com=full, c=not, @other.test=any, "
        "d+x@example.com=dx, d=no }\n"
        "virtual_uid_maps = inline:{ a=5000, b+x=5001, c=5002, d=5004, @other.test=5003 }\n"
        "virtual_gid_maps = inline:{ a=6000, b+x=6001, c=6002, d=6004, @other.test=6003 }\nvirtual_mailbox_base = "
        "/v\n");
    auto agent = mailboxes(main);
    CHECK(path(*agent, "a@example.com") == "/v/bare");
    CHECK(path(*agent, "A+y@Example.com") == "/v/bare");
    CHECK(path(*agent, "a@own.test") == "/v/bare");
    CHECK(path(*agent, "a@[127.0.0.1]") == "/v/bare");
    CHECK(path(*agent, "b+x@example.com") == "/v/extension");
    CHECK(path(*agent, "b@example.com") == "5.1.1");
    CHECK(path(*agent, "c+z@example.com") == "/v/full");
    CHECK(path(*agent, "d+x@example.com") == "/v/dx");
    CHECK(path(*agent, "a@other.test") == "/v/any");
    CHECK(path(*agent, "a@far.test") == "5.1.1");
}

TEST_CASE("recipient validation and virtual(8) find the same mailboxes") {
    std::mt19937 random(20260101);
    auto pick = [&random](const std::vector<std::string>& from) {
        return from[std::uniform_int_distribution<size_t>(0, from.size() - 1)(random)];
    };
    const std::vector<std::string> locals = {"a", "b", "a+x", "b+x", "A", "owner-a", "a+x+y", "postmaster", "+x"};
    const std::vector<std::string> domains = {"example.com", "box.test", "own.test", "Example.COM", "[127.0.0.1]"};
    int found = 0, unknown = 0;
    for (int round = 0; round < 150; ++round) {
        std::string table;
        for (int i = 0; i < 4; ++i) {
            const auto local = pick(locals), domain = pick(domains);
            const std::string key = pick({local, local + '@' + domain, '@' + domain});
            table += "{" + key + " = m" + std::to_string(i) + "} ";
        }
        // Whichever class each domain is in: the agent is virtual(8) for all of them.
        auto main =
            parse("myorigin = " + pick({"example.com", "box.test", "far.test"}) +
                  "\nmydestination = own.test\nlocal_transport = virtual\n"
                  "virtual_mailbox_domains = example.com, box.test, far.test\n"
                  "virtual_mailbox_maps = inline:{" +
                  table +
                  "}\nlocal_recipient_maps = $virtual_mailbox_maps\n"
                  "virtual_uid_maps = static:5000\nvirtual_gid_maps = static:5000\nvirtual_mailbox_base = /v\n");
        auto agent = mailboxes(main);
        auto smtpd = validator(main);
        for (int i = 0; i < 20; ++i) {
            const auto address = pick(locals) + '@' + pick(domains);
            const bool taken = smtpd->check("s@far.org", address, address::Validator::Kind::kRecipient).has_value();
            const bool delivered = path(*agent, address).substr(0, 3) == "/v/";
            INFO(address << " in " << table);
            CHECK(taken == delivered);
            (delivered ? found : unknown)++;
        }
    }
    CHECK(found > 200);
    CHECK(unknown > 200);
}
