#include "libproto/sasl/password.h"

#include "tests/unit/catch.h"

using namespace postcot::sasl;

TEST_CASE("password schemes: hashes that Dovecot 2.3 made are accepted, and only for their password") {
    const char* hashes[] = {
        "{SHA}8LAj/GS687+yxkVTbaEZ32QuPlM=",
        "{SHA256}FsFOz1QWa810SCSlpdgayiw9dKgQ4Xu40mgTiVnCf1U=",
        "{SSHA}TuycvFlPhq6pyoY23Yon5jLbTOWg+Xcz",
        "{SSHA256}CPQG6rVtNxEEzUCPmXJKpSol4Koh3iHYzuMcBXBrZN+yI/vH",
        "{SSHA512}NkaF9VeIvdKJRQwkSk0JOrHKe3QOXx/nig6ePOL3egagY2zH0Jf5Pwf1pHSORiqMoO3WHLdAr2U1vVri4niatF0N2ew=",
        "{SMD5}LUjV1PDu7vOidvDLrGQRR+VtCJI=",
        "{PLAIN-MD5}0fb9998fcff3ef7a516fa226871613a2",
        "{LDAP-MD5}D7mZj8/z73pRb6ImhxYTog==",
        "{SHA512-CRYPT}$6$JyuTVK9u/goa8qZY$oDY8OlQ4DarIVSnju/"
        "0a55gbH9JKuDDlHK1UCwjPil8XsEVOizTzFpoaB8K1566KAX91ZztphXJSg2ow6vDmK1",
        "{SHA256-CRYPT}$5$1V6JhlTGro2CEftF$BcGgeQtg6uOXmDKHG1qp5AsND0T8SlnYI1W9S1A77mA",
        "{BLF-CRYPT}$2y$05$qpZSZIpV/luAMDoA2dEn3OBOuA8/k7tQAFFvj.M/GWuZJzooC8SOe",
        "{MD5-CRYPT}$1$gSgFGFIw$9fjesh.Ts38MJHoW4WeiI1",
        "{DES-CRYPT}DbRts.sZUamiM",
        "{CRYPT}$2y$05$lHpgWd9sO6SOIObSKLykgusliOr9G.pWDz7anj5f/kugvCELpZyJy",
        "{SHA512.HEX}"
        "6388b8d96acb3912ae51f55e4df6a89a092d4cb6365408bf14ab5d06b92976ce45590c4b21acef9d44812a9894a8690fa16e49f069751a"
        "7871581dcc8a6ee5ac",
        "{SSHA.HEX}eb6aa06498c6dfdfaa20b749f33cc104e35be118aeca56c6",
        "{PLAIN.B64}cGFzcyB34oKscmQ=",
        "{plain}pass w€rd",
        "pass w€rd"};
    for (auto hash : hashes) {
        INFO(hash);
        CHECK(verify_password("pass w€rd", hash, "PLAIN") == true);
        CHECK(verify_password("Pass w€rd", hash, "PLAIN") == false);
        CHECK(verify_password("", hash, "PLAIN") == false);
        CHECK(verify_password(std::string_view("pass w€rd\0", 12), hash, "PLAIN") == false);
    }
}

TEST_CASE("password schemes: what is made is accepted again") {
    for (const auto& scheme : password_schemes()) {
        INFO(scheme);
        auto stored = make_password(scheme, "secret", "0123456789abcdefghijklmnopqrstuv");
        REQUIRE(stored);
        CHECK(stored->rfind("{" + scheme + "}", 0) == 0);
        CHECK(verify_password("secret", *stored, "PLAIN") == true);
        CHECK(verify_password("secreT", *stored, "PLAIN") == false);
    }
}

TEST_CASE("password schemes: locked, empty, unknown and damaged entries open nothing") {
    for (auto stored : {"", "*", "!", "!!", "*0", "x", "!$6$abc$def"})
        CHECK(verify_password(stored, stored, "CRYPT").value_or(false) == false);
    CHECK_FALSE(verify_password("x", "{NOSUCH}x", "PLAIN"));
    CHECK_FALSE(verify_password("x", "{SHA}AAAA", "PLAIN"));
    CHECK_FALSE(verify_password("x", "{SSHA.hex}zz", "PLAIN"));
    CHECK_FALSE(verify_password("x", "{PLAIN.rot13}x", "PLAIN"));
    CHECK(verify_password("", "", "PLAIN") == true);
}
