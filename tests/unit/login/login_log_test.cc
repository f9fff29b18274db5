#include "libproto/login/login_log.h"

#include "libproto/login/messages.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::login;

namespace {
constexpr std::string_view kElements = "user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{session}>";
LoginLogFacts facts() {
    LoginLogFacts out;
    out.user = "bob";
    out.method = "PLAIN";
    out.remote_address = "192.0.2.1";
    out.local_address = "192.0.2.2";
    out.mail_pid = 12;
    out.session_id = "abc";
    return out;
}
}   // namespace

TEST_CASE("login_log_format: Dovecot's login line; what is empty is left out, but for the user") {
    auto f = facts();
    CHECK(format_login_line("%$: %s", kElements, f, "Login") ==
          "Login: user=<bob>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=12, session=<abc>");
    f.tls = true;
    f.user.clear();
    f.method.clear();
    f.mail_pid = 0;
    CHECK(format_login_line("%$: %s", kElements, f, "X") ==
          "X: user=<>, rip=192.0.2.1, lip=192.0.2.2, TLS, session=<abc>");
    f.tls = false;
    f.secured = true;
    CHECK(format_login_line("%$ (%s)", "%c %{rip}", f, "X") == "X (secured, 192.0.2.1)");
}

TEST_CASE("login log: how a connection that never logged in ended, as fail2ban reads it") {
    EndFacts end;
    end.seconds = 2;
    CHECK(format_end("Disconnected: Inactivity", end) == "Disconnected: Inactivity (no auth attempts in 2 secs)");
    end.tried_plaintext = true;
    CHECK(format_end("Aborted login", end) == "Aborted login (tried to use disallowed plaintext auth)");
    end.attempts = 1;
    CHECK(format_end("Disconnected: Connection closed", end) ==
          "Disconnected: Connection closed (auth failed, 1 attempts in 2 secs)");
    end.authenticating = true;
    CHECK(format_end("Disconnected", end) == "Disconnected (disconnected while authenticating, waited 2 secs)");
}

TEST_CASE("login_trusted_networks: addresses and networks of both families") {
    CHECK(in_networks("10.0.0.0/8 ::1", "10.2.3.4"));
    CHECK(in_networks("10.0.0.0/8 ::1", "::1"));
    CHECK_FALSE(in_networks("10.0.0.0/8 ::1", "11.0.0.1"));
    CHECK(in_networks("192.0.2.128/25", "192.0.2.200"));
    CHECK_FALSE(in_networks("192.0.2.128/25", "192.0.2.1"));
    CHECK_FALSE(in_networks("", "127.0.0.1"));
    CHECK_FALSE(in_networks("junk/99", "127.0.0.1"));
}

TEST_CASE("login: a session id differs by time, port and address and has no padding") {
    auto id = make_session_id(1, "127.0.0.1", 5);
    CHECK(id.find('=') == std::string::npos);
    CHECK(id != make_session_id(2, "127.0.0.1", 5));
    CHECK(id != make_session_id(1, "127.0.0.1", 6));
    CHECK(id != make_session_id(1, "::1", 5));
}

TEST_CASE("login messages: the facts of a login arrive as they were sent") {
    LoggedIn in;
    in.user = "bob";
    in.home = "/home/bob";
    in.uid = 1000;
    in.fields.add("quota_rule", "*:storage=1G\t2");
    in.fields.add("flag");
    in.remote_port = 65535;
    in.tls = true;
    in.payload = std::string("a\0b", 3);
    in.unread = "x NOOP\r\n";
    ipc::Writer writer;
    in.encode(writer);
    ipc::Reader reader(writer.bytes());
    LoggedIn out = LoggedIn::decode(reader);
    REQUIRE(reader.ok());
    CHECK(reader.at_end());
    CHECK(out.user == in.user);
    CHECK(out.uid == 1000);
    CHECK(out.fields == in.fields);
    CHECK(out.remote_port == 65535);
    CHECK(out.tls);
    CHECK(out.payload == in.payload);
    CHECK(out.unread == in.unread);
    ipc::Reader cut(std::string_view(writer.bytes()).substr(0, 20));
    (void)LoggedIn::decode(cut);
    CHECK_FALSE(cut.ok());
}
