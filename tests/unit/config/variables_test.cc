#include "libproto/config/variables.h"

#include "tests/unit/catch.h"

using postcot::config::expand_variables;
using postcot::config::has_variables;

static std::optional<std::string> known(std::string_view name) {
    if (name == "user") return "Ann.Lee@Example.COM";
    if (name == "service") return "imap";
    if (name == "rip") return "192.0.2.1";
    if (name == "rport") return "255";
    if (name == "home") return "/home/ann";
    if (name == "session") return "AbC";
    if (name == "login_user") return "";
    return std::nullopt;
}

TEST_CASE("Dovecot variables: letters, modifiers, widths") {
    const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                         {"plain", "plain"},
                                                         {"%u", "Ann.Lee@Example.COM"},
                                                         {"/v/%d/%n", "/v/Example.COM/Ann.Lee"},
                                                         {"%Lu", "ann.lee@example.com"},
                                                         {"%Ud", "EXAMPLE.COM"},
                                                         {"%1n/%0.2Ln", "A/an"},
                                                         {"%1.1n", "n"},
                                                         {"%-3.2n", "Le"},
                                                         {"100%%", "100%"},
                                                         {"%", "%"},
                                                         {"%Xb", "ff"},
                                                         {"%06Xb", "0000ff"},
                                                         {"%LDd", "example,dc=com"},
                                                         {"%{session}-%s-%r", "AbC-imap-192.0.2.1"},
                                                         {"%L{user}", "ann.lee@example.com"},
                                                         {"%Rs", "pami"},
                                                         // As Dovecot 2.3.19 answers for ann.lee@example.com.
                                                         {"%2.3Ln", "n.l"},
                                                         {"%-2Ln", "an"},
                                                         {"%-3.2Ln", "le"},
                                                         {"%12Ln", "ann.lee"},
                                                         {"%012Ln", "00000ann.lee"},
                                                         {"%03Ln", "ann.lee"},
                                                         {"%2.03Ln", "n.lee"}};
    for (auto& [text, wanted] : cases) {
        INFO(text);
        CHECK(expand_variables(text, known) == std::string(wanted));
    }
}

TEST_CASE("Dovecot 2.4 variables: filters and new names") {
    CHECK(expand_variables("%{user | domain | lower}/%{user|username|upper}", known) ==
          std::string("example.com/ANN.LEE"));
    CHECK(expand_variables("%{remote_ip}:%{protocol}", known) == std::string("192.0.2.1:imap"));
    CHECK(expand_variables("%{login_user | default('none')}%{nosuch | default(\"-\")}", known) == std::string("none-"));
}

TEST_CASE("Dovecot 2.4 variables: filters with arguments") {
    const std::pair<const char*, const char*> cases[] = {{"%{rport | hex}", "ff"},
                                                         {"%{rport | hex(8)}", "000000ff"},
                                                         {"%{rport|hex(1)}", "f"},
                                                         {"%{user | substr(0, 3) | upper}", "ANN"},
                                                         {"%{user | substr(-3)}", "COM"},
                                                         {"%{service | hexlify}", "696d6170"},
                                                         {"%{service | reverse}", "pami"},
                                                         {"%{user | domain | ldap_dn}", "Example,dc=COM"},
                                                         {"%{nosuch | default('a|b, c')}", "a|b, c"}};
    for (auto& [text, wanted] : cases) {
        INFO(text);
        CHECK(expand_variables(text, known) == std::string(wanted));
    }
}

TEST_CASE("Dovecot variables: what is not known is an error, not text") {
    for (auto bad : {"%q", "%{nosuch}", "%{user", "%L", "%-u", "%Hu", "%{user | rot13}", "%{if;a;b}"}) {
        INFO(bad);
        CHECK_FALSE(expand_variables(bad, known));
    }
    CHECK(has_variables("a%u"));
    CHECK_FALSE(has_variables("100%%"));
}
