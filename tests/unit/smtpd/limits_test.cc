#include "smtpd/limits.h"

#include <sys/wait.h>
#include <unistd.h>

#include "smtpd/restrictions/access.h"
#include "tests/unit/catch.h"

using namespace postcot::smtpd;

TEST_CASE("anvil(8): open connections are counted per client and service, over all workers") {
    ClientCounters counters;
    CHECK(counters.connect(0, "smtp", "192.0.2.1") == 1);
    CHECK(counters.connect(1, "smtp", "192.0.2.1") == 2);
    CHECK(counters.connect(0, "smtp", "192.0.2.2") == 1);
    CHECK(counters.connect(0, "submission", "192.0.2.1") == 1);
    counters.disconnect(0, "smtp", "192.0.2.1");
    CHECK(counters.connect(0, "smtp", "192.0.2.1") == 2);
    // A count that was never made cannot be taken back.
    counters.disconnect(7, "smtp", "192.0.2.1");
    CHECK(counters.connect(1, "smtp", "192.0.2.1") == 3);
}

TEST_CASE("a worker that dies leaves no connections behind, and no lock") {
    ClientCounters counters;
    CHECK(counters.connect(0, "smtp", "::1") == 1);
    const pid_t child = fork();
    if (child == 0) {
        counters.connect(1, "smtp", "::1");
        counters.connect(1, "smtp", "::1");
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(counters.connect(0, "smtp", "::1") == 4);
    counters.start_worker(1);
    CHECK(counters.connect(0, "smtp", "::1") == 3);
}

TEST_CASE("anvil_rate_time_unit: events are counted within their time") {
    ClientCounters counters;
    using Event = ClientCounters::Event;
    CHECK(counters.count(Event::kMessage, "smtp", "a", std::chrono::seconds(60)) == 1);
    CHECK(counters.count(Event::kMessage, "smtp", "a", std::chrono::seconds(60)) == 2);
    CHECK(counters.count(Event::kRecipient, "smtp", "a", std::chrono::seconds(60)) == 1);
    CHECK(counters.count(Event::kMessage, "smtp", "a", std::chrono::seconds(0)) == 1);
}

TEST_CASE("access(5): what a table's answer means") {
    auto v = parse_action("550 5.7.9 not here");
    CHECK(v.kind == Action::Kind::kReject);
    CHECK(v.code == 550);
    CHECK(v.enhanced == "5.7.9");
    CHECK(v.text == "not here");
    CHECK(parse_action("ok").kind == Action::Kind::kOk);
    CHECK(parse_action("1234567").kind == Action::Kind::kOk);
    CHECK(parse_action("REJECT").text.empty());
    CHECK(parse_action("DEFER_IF_PERMIT 4.2.1 later").enhanced == "4.2.1");
    CHECK(parse_action("FILTER smtp:[127.0.0.1]:10025").text == "smtp:[127.0.0.1]:10025");
    CHECK(parse_action("FILTER foo").kind == Action::Kind::kIncomplete);   // access(5): a warning, and nothing is done
    CHECK(parse_action("permit_mynetworks, reject").kind == Action::Kind::kRestrictions);
    CHECK(parse_action("").kind == Action::Kind::kRestrictions);
}
