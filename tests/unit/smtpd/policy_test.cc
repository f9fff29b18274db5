#include "smtpd/restrictions/policy.h"

#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::smtpd;
using namespace std::chrono_literals;

namespace {

Expected<PolicyService> parse(std::string_view argument) {
    auto main = config::MainCf::parse("smtpd_policy_service_timeout = 7s\n", "main.cf");
    REQUIRE(main);
    return parse_policy_service(argument, *main);
}

}   // namespace

TEST_CASE("SMTPD_POLICY_README: check_policy_service takes an address, or one with attributes in braces") {
    auto plain = parse("inet:127.0.0.1:9");
    REQUIRE(plain);
    CHECK(plain->address == "inet:127.0.0.1:9");
    CHECK(plain->shown() == "127.0.0.1:9");
    CHECK(plain->timeout == 7s);
    CHECK(plain->try_limit == 2);
    CHECK(plain->default_action == "451 4.3.5 Server configuration problem");

    for (const char* text :
         {"{ unix:private/p, timeout=3s, { default_action = REJECT no way }, policy_context=x, try_limit=1 { "
          "retry_delay = 2s } }",
          "{unix:private/p timeout=3s {default_action=REJECT no way} policy_context=x try_limit=1 retry_delay=2s}"}) {
        auto given = parse(text);
        REQUIRE(given);
        CHECK(given->address == "unix:private/p");
        CHECK(given->timeout == 3s);
        CHECK(given->retry_delay == 2s);
        CHECK(given->try_limit == 1);
        CHECK(given->default_action == "REJECT no way");
        CHECK(given->context == "x");
    }
}

TEST_CASE("a policy service's attribute that is unknown or malformed is an error, not part of the address") {
    for (const char* text :
         {"{ inet:h:1, colour=red }", "{ inet:h:1, timeout=3x }", "{ inet:h:1, timeout }", "{ inet:h:1, try_limit=0 }",
          "{ }", "{ h:1 }", "{ inet:h:1, default_action = { REJECT no } }"})
        CHECK_FALSE(parse(text));
    CHECK(parse("{ inet:h:1, colour=red }").error().text == "unknown option: \"colour = red\"");
}
