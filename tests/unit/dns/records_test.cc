#include "libproto/dns/records.h"
#include "libproto/dns/resolv_conf.h"

#include "libproto/dns/hosts.h"
#include "tests/unit/catch.h"

using namespace postcot::dns;
using namespace std::literals;

TEST_CASE("RFC 1035 3.3.9: MX") {
    auto mx = parse_mx(
        "\x00\x0a\x02MX\x07"
        "example\x03"
        "COM\x00"sv);
    REQUIRE(mx.has_value());
    CHECK(mx->preference == 10);
    CHECK(mx->host == "mx.example.com");
}

TEST_CASE("RFC 7505: the null MX has an empty host") {
    auto mx = parse_mx("\x00\x00\x00"sv);
    REQUIRE(mx.has_value());
    CHECK(mx->host.empty());
}

TEST_CASE("resource data: cut short, pointers, odd octets and trailing bytes are malformed") {
    for (auto bad : {""sv, "\x00"sv, "\x00\x0a"sv, "\x00\x0a\x02m"sv, "\x00\x0a\xc0\x0c"sv, "\x00\x0a\x02m x\x00"sv,
                     "\x00\x0a\x03m.x\x00"sv, "\x00\x0a\x02m\n\x00"sv, "\x00\x0a\x02mx\x00z"sv})
        CHECK_FALSE(parse_mx(bad).has_value());
    std::string long_name;
    for (int i = 0; i < 5; ++i) long_name += '\x3f' + std::string(63, 'a');
    CHECK_FALSE(parse_name(long_name + '\0').has_value());
    CHECK(parse_txt("\x03"
                    "abc\x02"
                    "de"sv)
              .value() == "abcde");
    CHECK_FALSE(parse_txt("\x04"
                          "abc"sv)
                    .has_value());
    CHECK_FALSE(parse_address(Type::kA, "\x01\x02\x03"sv).has_value());
    CHECK(parse_address(Type::kA, "\xc0\x00\x02\x01"sv).value() == "192.0.2.1");
    CHECK(parse_srv("\x00\x01\x00\x02\x00\x19\x01x\x00"sv).value().port == 25);
}

TEST_CASE("RFC 1035 3.5, RFC 3596 2.5: reverse names") {
    CHECK(reverse_name("192.0.2.1") == "1.2.0.192.in-addr.arpa");
    CHECK(reverse_name("::ffff:192.0.2.1") == "1.2.0.192.in-addr.arpa");
    CHECK(reverse_name("2001:db8::1") == "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    CHECK(reverse_name("x").empty());
}

TEST_CASE("names that may be asked for") {
    CHECK(is_query_name("example.com"));
    CHECK(is_query_name("_dmarc.example.com."));
    for (auto bad : {"", ".", "a..b", ".a", "a b", "\xc3\xa9.example"}) CHECK_FALSE(is_query_name(bad));
    CHECK_FALSE(is_query_name(std::string(64, 'a') + ".b"));
    CHECK_FALSE(is_query_name(std::string(254, 'a')));
}

TEST_CASE("hosts(5): names both ways; localhost always") {
    Hosts hosts = Hosts::parse("127.0.1.1\tMail.example.com mail # comment\n# 1.2.3.4 x\nbad y\n::1 six\n0:0::1 seven");
    CHECK(hosts.addresses("MAIL").at(0) == "127.0.1.1");
    CHECK(hosts.name("127.0.1.1") == "mail.example.com");
    CHECK(hosts.name("::1") == "six");
    CHECK(hosts.addresses("seven").at(0) == "::1");
    CHECK(hosts.addresses("x").empty());
    CHECK(hosts.addresses("y").empty());
    CHECK(hosts.addresses("localhost").size() == 2);
}

TEST_CASE("resolv.conf(5): nameserver lines") {
    CHECK(name_servers("# x\nsearch a b\nnameserver 192.0.2.1\nnameserver\t::1 # y\r\n nameserver 1.1.1.1\nnameserverx 2\n") ==
          std::vector<std::string>{"192.0.2.1", "::1"});
}
