#include "libproto/runtime/tls_versions.h"

#include <string>

#include "tests/unit/catch.h"

using namespace postcot;

namespace {

// "0123" for TLS 1.0 to 1.3; "-" for a list that is refused.
std::string allowed(std::string_view list) {
    auto versions = parse_tls_protocols(list);
    if (!versions) return "-";
    std::string out;
    for (int minor = 0; minor < 4; ++minor) {
        if (versions->allow(0x0301 + minor)) out += static_cast<char>('0' + minor);
    }
    return out;
}

}   // namespace

TEST_CASE("postconf(5) smtpd_tls_protocols: inclusion, exclusion and bounds, in any order") {
    CHECK(allowed("") == "0123");
    CHECK(allowed("TLSv1.3") == "3");
    CHECK(allowed("TLSv1.2 TLSv1.3") == "23");
    CHECK(allowed("!TLSv1.1, !TLSv1") == "23");
    CHECK(allowed("!TLSv1:!TLSv1.1") == "23");
    CHECK(allowed("!SSLv2, !SSLv3") == "0123");
    CHECK(allowed("!TLSv1.2") == "013");
    CHECK(allowed("<=TLSv1.2") == "012");
    CHECK(allowed(">=TLSv1.1, <=TLSv1.2") == "12");
    CHECK(allowed(">=0303") == "23");
    CHECK(allowed("<=0x0302") == "01");
    CHECK(allowed(">=0305").empty());
    CHECK(allowed("TLSv1.1, TLSv1.2, !TLSv1.1") == "2");
    CHECK(allowed(">=tlsv1.2") == "23");
    CHECK(parse_tls_protocols(">=TLSv1.3, !TLSv1.3")->none());
}

TEST_CASE("a TLS version that nobody knows is an error that quotes the list, never passed over") {
    for (const char* list :
         {"TLSv1.9", "!TLSv1.9", ">=TLSv1.9", "<=", ">=", "!", ">=12345", ">=-1", "TLSv1.2, >=x", "0303"})
        CHECK(allowed(list) == "-");
    CHECK(parse_tls_protocols("!SSLv2, foo").error().text == "Invalid TLS protocol list \"!SSLv2, foo\"");
}
