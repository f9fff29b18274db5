#include "authd/mechanism.h"

#include "tests/unit/catch.h"

using namespace postcot::authd;
using namespace std::string_literals;

static Step plain(const std::string& message) {
    Exchange exchange("PLAIN");
    return exchange.start(message);
}

TEST_CASE("mechanisms: known ones are offered with Dovecot's flags, others refused by name") {
    auto offered = start_sasl({"PLAIN", "LOGIN"});
    REQUIRE(offered);
    REQUIRE(offered->size() == 2);
    CHECK((*offered)[0].name == "PLAIN");
    CHECK((*offered)[0].plaintext);
    auto refused = start_sasl({"PLAIN", "GSSAPI"});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text == "Unknown authentication mechanism 'GSSAPI'");
}

TEST_CASE("RFC 4616 2: PLAIN gives the credentials out, unjudged") {
    REQUIRE(start_sasl({"PLAIN", "LOGIN"}));
    auto step = plain("\0tim@Example.com\0tanstaaftanstaaf"s);
    REQUIRE(step.kind == Step::Kind::kCredentials);
    CHECK(step.credentials.authentication_id == "tim@Example.com");
    CHECK(step.credentials.password == "tanstaaftanstaaf");
    CHECK(step.credentials.authorization_id.find_first_not_of("tim@Example.com") == std::string::npos);

    step = plain("Ursel\0Kurt\0xipj3plmq"s);
    REQUIRE(step.kind == Step::Kind::kCredentials);
    CHECK(step.credentials.authentication_id == "Kurt");
    CHECK(step.credentials.authorization_id == "Ursel");

    step = plain("Kurt\0Kurt\0xipj3plmq"s);
    REQUIRE(step.kind == Step::Kind::kCredentials);
    CHECK(step.credentials.authentication_id == "Kurt");
    CHECK(step.credentials.authorization_id == "Kurt");
    CHECK(step.credentials.password == "xipj3plmq");
}

TEST_CASE("RFC 4616 2: PLAIN without initial response asks for it; broken messages are invalid") {
    REQUIRE(start_sasl({"PLAIN", "LOGIN"}));
    Exchange exchange("PLAIN");
    auto step = exchange.start(std::nullopt);
    REQUIRE(step.kind == Step::Kind::kChallenge);
    CHECK(step.challenge.empty());
    CHECK(exchange.next("\0a\0b"s).kind == Step::Kind::kCredentials);

    for (const auto& bad : {"a"s, "\0"s, "\0\0"s, "\0a"s, "\0\0b"s, "\0a\0b\0c"s}) {
        INFO(bad.size());
        CHECK(plain(bad).kind == Step::Kind::kInvalid);
    }
    CHECK(plain("\0" + std::string(5000, 'u') + "\0p"s).kind == Step::Kind::kInvalid);
}

TEST_CASE("LOGIN: asks for user name and password, takes the name as initial response") {
    REQUIRE(start_sasl({"PLAIN", "LOGIN"}));
    Exchange exchange("LOGIN");
    auto step = exchange.start(std::nullopt);
    REQUIRE(step.kind == Step::Kind::kChallenge);
    CHECK(step.challenge == "Username:");
    step = exchange.next("user@example.com");
    REQUIRE(step.kind == Step::Kind::kChallenge);
    CHECK(step.challenge == "Password:");
    step = exchange.next("secret");
    REQUIRE(step.kind == Step::Kind::kCredentials);
    CHECK(step.credentials.authentication_id == "user@example.com");
    CHECK(step.credentials.password == "secret");

    Exchange second("LOGIN");
    step = second.start("user@example.com"s);
    REQUIRE(step.kind == Step::Kind::kChallenge);
    CHECK(step.challenge == "Password:");
}
