#include "libproto/config/filters.h"

#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::config;

namespace {

MainCf parse(const std::string& text) {
    auto main = MainCf::parse(text, "main.cf");
    REQUIRE(main);
    return *main;
}

Unfiltered outcome(const std::string& text) { return missing_milter(parse(text), "smtpd_milters").outcome; }

}   // namespace

TEST_CASE("milter_default_action: what becomes of mail whose milter is not served") {
    CHECK(outcome("") == Unfiltered::kPass);
    CHECK(outcome("smtpd_milters = inet:localhost:8891\n") == Unfiltered::kDefer);
    CHECK(outcome("smtpd_milters = inet:localhost:8891\nmilter_default_action = accept\n") == Unfiltered::kPass);
    CHECK(outcome("smtpd_milters = inet:localhost:8891\nmilter_default_action = reject\n") == Unfiltered::kReject);
    CHECK(outcome("smtpd_milters = inet:localhost:8891\nmilter_default_action = quarantine\n") == Unfiltered::kHold);
    CHECK(outcome("smtpd_milters = inet:localhost:8891\nmilter_default_action = shutdown\n") ==
          Unfiltered::kMisconfigured);
    CHECK(outcome("smtpd_milters = { inet:localhost:8891, connect_timeout=10s, default_action=accept }\n") ==
          Unfiltered::kPass);
    CHECK(outcome("smtpd_milters = {unix:/a default_action=accept}, unix:/b\n") == Unfiltered::kDefer);
    CHECK(outcome("smtpd_milters = { unix:/a, { default_action = accept } }\n") == Unfiltered::kPass);
    auto missing = missing_milter(
        parse("smtpd_milters = {unix:/a, default_action=accept}, {unix:/b, default_action=reject}\n"), "smtpd_milters");
    CHECK(missing.outcome == Unfiltered::kReject);
    CHECK(missing.filter == "unix:/b");
}

TEST_CASE("what is not served and would have changed mail is named with what becomes of mail and the way out") {
    auto main = MainCf::parse(
        "header_checks = pcre:/etc/postfix/header_checks\nsmtpd_milters = inet:localhost:8891\nsmtp_header_checks = "
        "regexp:/x\n",
        "main.cf");
    REQUIRE(main);
    CHECK(main->warnings() ==
          std::vector<std::string>{
              "main.cf, line 1: header_checks is not served: mail waits until it is, or until this setting is removed",
              "main.cf, line 3: smtp_header_checks is not served: mail waits until it is, or until this setting is "
              "removed",
              "main.cf, line 2: smtpd_milters: inet:localhost:8891 is not served: mail waits until it is; "
              "\"milter_default_action = accept\" lets it "
              "through"});
    CHECK(missing_checks(*main).reason() ==
          "header_checks (pcre:/etc/postfix/header_checks) is not served: mail waits");
    CHECK(missing_client_checks(*main, "smtp").parameter == "smtp_header_checks");
    CHECK_FALSE(missing_client_checks(*main, "lmtp").waits());
    CHECK_FALSE(missing_client_checks(*main, "pipe").waits());
    auto master = MasterCf::parse(
        "smtp inet n - n - - smtpd -o smtpd_milters=inet:h:1 -o milter_default_action=accept\n", "master.cf", *main);
    REQUIRE(master);
    CHECK(main->warnings(&*master).back() ==
          "master.cf: line 1: service smtp: smtpd_milters is not served: mail passes unfiltered, as the default action "
          "\"accept\" says");
}
