#include "libproto/config/postfix.h"
#include "tests/unit/catch.h"

using namespace postcot::config;

namespace {

MainCf parse(const char* text) {
    auto main = MainCf::parse(text, "main.cf");
    INFO((main ? std::string() : main.error().text));
    REQUIRE(main);
    return *main;
}

std::string error_of(const char* text) {
    auto main = MainCf::parse(text, "main.cf");
    return main ? "none" : main.error().text;
}

}   // namespace

TEST_CASE("postconf(5): continuation lines, comments between them and empty lines form one value") {
    auto main = parse("# comment\n\nmynetworks = 127.0.0.0/8,\n\n  # inside\n\t[::1]/128\nmyhostname=a.example\n");
    CHECK(main.str("mynetworks") == "127.0.0.0/8,\t[::1]/128");
    CHECK(main.list("mynetworks") == std::vector<std::string>{"127.0.0.0/8", "[::1]/128"});
    CHECK(main.str("mydomain") == "example");
    CHECK(main.str("smtpd_banner") == "a.example ESMTP Postfix");
    CHECK(main.is_set("myhostname"));
    CHECK_FALSE(main.is_set("mydomain"));
}

TEST_CASE("postconf(5): a default that is made of itself has an end") {
    auto main = parse("myhostname = mx.$mydomain\n");
    CHECK(main.str("myhostname").starts_with("mx."));
    CHECK_FALSE(main.str("mydomain").empty());
    CHECK(error_of("mynetworks_style = $mynetworks\n")
              .starts_with("main.cf, line 1: parameter mynetworks_style: expected"));
}

TEST_CASE("postconf(5): $name, ${name?text}, ${name:text}, ${name?{a}:{b}} and relations") {
    auto main = parse("q=1\nempty=\nmyhostname=h.example\n");
    CHECK(main.expand("$q-${q}-$(q)-$$-$none-$q.r") == "1-1-1-$--1.r");
    CHECK(main.expand("${q?yes}${empty?no}${empty:none}${q:no}") == "yesnone");
    CHECK(main.expand("${q?{a}:{b}}${empty?{a}:{b}}${q ? {x} : {y}}") == "abx");
    CHECK(main.expand("${q?x:y}${empty: b }") == "x:y b ");
    CHECK(main.expand("${{$q} == {1} ? {same} : {other}}${{a} != {a} ? {x}}") == "same");
    CHECK(main.expand("${{2} < {10} ? {number}}${{b2} < {b10} ? {x} : {text}}") == "numbertext");
    CHECK(main.expand("${{3.6} <level {3.10} ? {yes} : {no}}${{3.6} >=level {3} ? {yes}}") == "yesyes");
    CHECK(parse("compatibility_level=3.6\n").str("smtpd_relay_restrictions") ==
          "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination");
    CHECK(parse("").str("smtpd_relay_restrictions").empty());
}

TEST_CASE("main.cf: an error names file, line and what was expected") {
    CHECK(error_of("a = b\nnothing here\n") == "main.cf, line 2: missing '=' after attribute name: \"nothing here\"");
    CHECK(error_of("= b\n") == "main.cf, line 1: missing attribute name: \"= b\"");
    CHECK(error_of("\nmessage_size_limit = abc\n") ==
          "main.cf, line 2: parameter message_size_limit: expected a number, got 'abc'");
    CHECK(error_of("smtpd_helo_required = 1\n") ==
          "main.cf, line 1: parameter smtpd_helo_required: expected yes or no, got '1'");
    CHECK(error_of("mynetworks_style = x\n") ==
          "main.cf, line 1: parameter mynetworks_style: expected one of \"class subnet host\", got 'x'");
    CHECK(error_of("smtpd_timeout = 5x\n") == "main.cf, line 1: parameter smtpd_timeout: expected a time, got '5x'");
    CHECK(error_of("relay_destination_recipient_limit = x\n").find("expected a number") != std::string::npos);
    CHECK(error_of("relayhost = ${myhostname\n").find("line 1") != std::string::npos);
    CHECK(error_of("unused = $-\n") == "none");
    CHECK(error_of("a = $b\nb = $a\nrelayhost = $a\n").find("unreasonable macro call nesting") != std::string::npos);
}

TEST_CASE("main.cf: typed values with Postfix's defaults and units") {
    auto main =
        parse("maximal_queue_lifetime = 2\ndelay_warning_time = 4\nvirtual_destination_recipient_limit = 1\nstress=\n");
    CHECK(main.time("maximal_queue_lifetime") == std::chrono::hours(48));
    CHECK(main.time("delay_warning_time") == std::chrono::hours(4));
    CHECK(main.time("smtpd_timeout") == std::chrono::seconds(300));
    CHECK(main.integer("message_size_limit") == 10240000);
    CHECK_FALSE(main.boolean("disable_vrfy_command"));
    CHECK(main.transport_integer("virtual", "destination_recipient_limit") == 1);
    CHECK(main.transport_integer("smtp", "destination_recipient_limit") == 50);
    CHECK(main.transport_integer("local", "destination_concurrency_limit") == 2);
    CHECK(main.transport_integer("relay", "initial_destination_concurrency") == 5);
    CHECK(main.transport_time("maildrop", "time_limit") == std::chrono::seconds(1000));
    CHECK(main.str("forward_path") == "$home/.forward${recipient_delimiter}${extension}, $home/.forward");
    auto over = main.with_overrides({{"stress", "yes"}, {"syslog_name", "postfix/submission"}});
    REQUIRE(over);
    CHECK(over->time("smtpd_timeout") == std::chrono::seconds(10));
    CHECK(over->str("syslog_name") == "postfix/submission");
    CHECK(main.str("syslog_name") == "postfix");
    CHECK_FALSE(main.with_overrides({{"smtpd_tls_wrappermode", "perhaps"}}));
}

TEST_CASE("main.cf: what is set but unknown or unsupported is named with its line") {
    auto main = parse(
        "foo = bar\nmua = x\npostscreen_greet_action = enforce\npostscreen_dnsbl_action = ignore\nrelayhost = $mua\n "
        "x\n");
    CHECK(main.warnings() ==
          std::vector<std::string>{
              "main.cf, line 1: unused parameter: foo=bar",
              "main.cf, line 3: parameter postscreen_greet_action is not supported: the setting has no effect"});
    CHECK(parse("x=$y\ny=1\n").warnings().size() == 2);
    CHECK(parse("x=$y\ny=1\nrelayhost=$x\n").warnings().empty());
    CHECK(parse("  a = b\n").warnings().size() == 1);
    CHECK(parse("myorigin=a\nmyorigin=b\n").warnings().at(0) ==
          "main.cf, line 2: overriding earlier entry: myorigin=a");
}

TEST_CASE("main.cf: a value that Postfix has and we have not is named") {
    CHECK(parse("smtp_tls_security_level = dane\n").warnings() ==
          std::vector<std::string>{
              "main.cf, line 1: parameter smtp_tls_security_level: dane is not supported: mail that it "
              "counts for is deferred"});
    CHECK(parse("smtp_tls_security_level = encrypt\n").warnings().empty());
    CHECK(parse("notify_classes = bounce, policy, resource\n").warnings() ==
          std::vector<std::string>{
              "main.cf, line 1: parameter notify_classes: policy is not supported: nothing is sent for it"});
    CHECK(parse("notify_classes = bounce, 2bounce, delay, resource, software\n").warnings().empty());
}

TEST_CASE("master.cf: a service that nobody serves, and a limit that nobody keeps, are named") {
    auto main = parse("");
    auto warnings = [&](const std::string& line) {
        auto master = MasterCf::parse(line + "\n", "master.cf", main);
        REQUIRE(master);
        return main.warnings(&*master);
    };
    CHECK(
        warnings("smtp inet n - n - 1 postscreen") ==
        std::vector<std::string>{
            "master.cf: line 1: service smtp: postscreen's tests are not there yet: smtpd takes its connections, with "
            "the settings of the smtpd service of type pass"});
    CHECK(warnings("dnsblog unix - - n - 0 dnsblog").empty());
    CHECK(warnings("smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd").size() == 1);
    CHECK(warnings("x unix - - n - - spawn") ==
          std::vector<std::string>{
              "master.cf: line 1: service x: command spawn is not supported: the service is not there"});
    CHECK(warnings("smtpd pass - - n - - smtpd").size() == 1);
    CHECK(warnings("smtp inet n - n - 20 smtpd") ==
          std::vector<std::string>{"master.cf: line 1: service smtp: a process limit has no effect on smtpd: see "
                                   "smtpd_client_connection_count_limit"});
    CHECK(warnings("smtp unix - - n - 20 smtp -o smtp_tls_security_level=dane-only").size() == 1);
    // What Debian's master.cf holds.
    for (const char* line :
         {"smtp inet n - y - - smtpd",
          "pickup unix n - y 60 1 pickup",
          "cleanup unix n - y - 0 cleanup",
          "qmgr unix n - n 300 1 qmgr",
          "tlsmgr unix - - y 1000? 1 tlsmgr",
          "rewrite unix - - y - - trivial-rewrite",
          "bounce unix - - y - 0 bounce",
          "verify unix - - y - 1 verify",
          "flush unix n - y 1000? 0 flush",
          "proxymap unix - - n - - proxymap",
          "smtp unix - - y - - smtp",
          "showq unix n - y - - showq",
          "error unix - - y - - error",
          "discard unix - - y - - discard",
          "local unix - n n - - local",
          "virtual unix - n n - - virtual",
          "lmtp unix - - y - - lmtp",
          "anvil unix - - y - 1 anvil",
          "scache unix - - y - 1 scache",
          "postlog unix-dgram n - n - 1 postlogd",
          "maildrop unix - n n - - pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}"})
        CHECK(warnings(line).empty());
}

TEST_CASE("master(5): services, defaults, -o overrides in both spellings") {
    auto main = parse("compatibility_level=3.6\n");
    auto master = MasterCf::parse(
        "smtp      inet  n       -       y       -       -       smtpd\n"
        "127.0.0.1:2587 inet n - n - 20 smtpd\n  -o syslog_name=postfix/$service_name\n"
        "  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }\n"
        "pickup    unix  n       -       -       60?      1       pickup -v\n"
        "maildrop  unix  -       n       n       -       -       pipe\n  flags=DRXhu user=vmail argv=/usr/bin/maildrop "
        "{-d x} ${recipient}\n",
        "master.cf", main);
    REQUIRE(master);
    REQUIRE(master->services().size() == 4);
    const auto& submission = master->services()[1];
    CHECK(submission.host_port() == std::pair<std::string, std::string>{"127.0.0.1", "2587"});
    CHECK(submission.max_processes == 20);
    REQUIRE(submission.overrides.size() == 2);
    CHECK(submission.overrides[0].second == "postfix/127.0.0.1:2587");
    CHECK(submission.overrides[1].second == "permit_sasl_authenticated, reject");
    const auto* pickup = master->find("pickup", "unix");
    REQUIRE(pickup);
    CHECK(pickup->wakeup_seconds == 60);
    CHECK(pickup->wakeup_if_used);
    CHECK_FALSE(pickup->chroot);
    CHECK(pickup->arguments == std::vector<std::string>{"-v"});
    CHECK(master->services()[0].max_processes == 100);
    CHECK(master->services()[0].chroot);
    CHECK(master->services()[3].arguments.at(3) == "-d x");
    auto bad = MasterCf::parse("a b\n", "master.cf", main);
    REQUIRE_FALSE(bad);
    CHECK(bad.error().text.find("master.cf: line 1: bad field count") == 0);
    auto twice = MasterCf::parse("a unix - - n - - error\na unix - - n - 7 error\n", "master.cf", main);
    REQUIRE(twice);
    CHECK(twice->services().size() == 1);
    CHECK(twice->services()[0].max_processes == 7);
    CHECK(main.warnings(&*twice).size() == 1);
    CHECK_FALSE(MasterCf::parse("smtp inet y - n - - smtpd\n", "master.cf", main));
}
