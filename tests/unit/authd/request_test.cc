#include "authd/request.h"

#include "authd/drivers/passwd_file_parser.h"
#include "authd/passed_login.h"
#include "libproto/config/dovecot.h"
#include "tests/unit/catch.h"

using namespace postcot::authd;
using postcot::config::DovecotConf;

static Settings settings_of(const std::string& text) {
    auto conf = DovecotConf::parse("passdb {\n driver = static\n args = nopassword=y\n}\n" + text, "dovecot.conf");
    REQUIRE(conf);
    auto settings = load_settings(*conf);
    REQUIRE(settings);
    return *settings;
}

TEST_CASE(
    "auth_username_format, auth_username_chars, auth_username_translation, auth_default_realm shape the user name") {
    auto settings = settings_of("auth_default_realm = example.com\nauth_username_translation = #@\n");
    Request request(settings);
    REQUIRE(request.set_user("Ann"));
    CHECK(request.user == "ann@example.com");
    CHECK(request.original_user == "Ann");
    Request other(settings);
    REQUIRE(other.set_user("Ann@Example.ORG"));
    CHECK(other.user == "ann@example.org");
    Request bad(settings);
    auto refused = bad.set_user("an n");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text == "Username character disallowed by auth_username_chars: 0x20 (username: an n)");
    CHECK_FALSE(Request(settings).set_user(""));
    CHECK_FALSE(Request(settings).set_user("a/b"));

    auto plain = settings_of("auth_username_format = %Ln\n");
    Request local(plain);
    REQUIRE(local.set_user("Ann@Example.ORG"));
    CHECK(local.user == "ann");
}

TEST_CASE("passdb fields: userdb_ ones are kept for the userdb, the rest go to the client") {
    auto settings = settings_of("");
    Request request(settings);
    REQUIRE(request.set_user("ann@example.com"));
    request.rip = "192.0.2.7";
    CHECK(request.add_passdb_field("x", "userdb_mail", "maildir:~/M"));
    CHECK(request.add_passdb_field("x", "proxy", "y"));
    CHECK(request.add_passdb_field("x", "nologin", "n"));
    CHECK(request.add_passdb_field("x", "password", "secret"));
    CHECK(request.add_passdb_field("x", "allow_nets", "10.0.0.0/8,192.0.2.0/24"));
    CHECK_FALSE(request.add_passdb_field("x", "allow_nets", "10.0.0.0/8"));
    CHECK(request.add_passdb_field("x", "user", "other@example.com"));
    CHECK(request.user == "other@example.com");
    CHECK(request.userdb.get("mail") == "maildir:~/M");
    CHECK(request.reply.has("proxy"));
    CHECK_FALSE(request.reply.has("nologin"));
    CHECK_FALSE(request.reply.has("password"));
}

TEST_CASE("allow_nets: networks, single addresses, local") {
    CHECK_FALSE(check_allow_nets("192.0.2.0/24", "192.0.2.255"));
    CHECK(check_allow_nets("192.0.2.0/25", "192.0.2.255"));
    CHECK_FALSE(check_allow_nets("2001:db8::/33", "2001:db8:7fff::1"));
    CHECK(check_allow_nets("2001:db8::/33", "2001:db8:8000::1"));
    CHECK_FALSE(check_allow_nets("192.0.2.1", "192.0.2.1"));
    CHECK(check_allow_nets("192.0.2.1", ""));
    CHECK_FALSE(check_allow_nets("192.0.2.1,local", ""));
    CHECK(check_allow_nets("192.0.2.0/99,x", "192.0.2.1"));
}

TEST_CASE("log lines have Dovecot's prefix, which fail2ban's filter reads") {
    auto settings = settings_of("");
    Request request(settings);
    CHECK(request.log_prefix("plain") == "plain(?): ");
    REQUIRE(request.set_user("ann@example.com"));
    request.rip = "192.0.2.7";
    request.session = "AbC+d";
    CHECK(request.log_prefix("pam") == "pam(ann@example.com,192.0.2.7,<AbC+d>): ");
}

TEST_CASE("passwd-file lines: extra fields after the seventh colon, comments and damaged lines skipped") {
    auto entry =
        parse_passwd_file_line("ann:{PLAIN}a:b:1000:1000:Ann:/home/ann:/bin/sh:userdb_mail=maildir:~/M nodelay");
    REQUIRE(entry);
    CHECK(entry->user == "ann");
    CHECK(entry->password == "{PLAIN}a");
    CHECK(entry->uid == "b");   // a colon ends the password, whatever the scheme
    entry = parse_passwd_file_line("ann:x:1000:1001:Ann:/home/ann::userdb_mail=maildir:~/M  nodelay\r");
    REQUIRE(entry);
    CHECK(entry->gid == "1001");
    CHECK(entry->home == "/home/ann");
    CHECK(entry->extra.get("userdb_mail") == "maildir:~/M");
    CHECK(entry->extra.has("nodelay"));
    CHECK(entry->has_userdb);
    CHECK_FALSE(parse_passwd_file_line("ann:x")->has_userdb);
    for (auto skipped : {"", "#ann:x", ":x"}) CHECK_FALSE(parse_passwd_file_line(skipped));
    auto file = parse_passwd_file("ann:1\nbob:2\nann:3");
    CHECK(file.entries.at("ann").password == "1");
    CHECK(file.order.size() == 2);
    auto args = parse_passwd_file_args("scheme=sha512-crypt username_format=%n /etc/mail users");
    REQUIRE(args);
    CHECK(args->scheme == "SHA512-CRYPT");
    CHECK(args->path == "/etc/mail users");
    CHECK_FALSE(parse_passwd_file_args("scheme=PLAIN"));
}

TEST_CASE("dovecot.conf: sockets of service auth get their kind from their name") {
    auto settings = settings_of(
        "base_dir = /b\nservice auth {\n unix_listener /q/private/auth {\n mode = 0660\n user = postfix\n group = "
        "postfix\n }\n"
        " unix_listener auth-login {\n mode = 0\n }\n}\n");
    auto find = [&](const std::string& path) -> const SocketSettings* {
        for (const auto& socket : settings.sockets) {
            if (socket.path == path) return &socket;
        }
        return nullptr;
    };
    REQUIRE(find("/q/private/auth"));
    CHECK(find("/q/private/auth")->kind == SocketSettings::Kind::kClient);
    CHECK(find("/q/private/auth")->mode == 0660);
    CHECK(find("/q/private/auth")->user == "postfix");
    REQUIRE(find("/b/auth-userdb"));
    CHECK(find("/b/auth-userdb")->kind == SocketSettings::Kind::kUserdb);
    CHECK(find("/b/auth-master")->kind == SocketSettings::Kind::kMaster);
    CHECK(find("/b/login/login")->kind == SocketSettings::Kind::kLogin);
    CHECK_FALSE(find("/b/auth-login"));
    CHECK_FALSE(find("/b/token-login/tokenlogin"));
}

TEST_CASE("dovecot.conf: what cannot be honoured is refused with its place") {
    auto refused = [](const std::string& text) {
        auto conf = DovecotConf::parse(text, "dovecot.conf");
        if (!conf) return conf.error().text;
        auto settings = load_settings(*conf);
        return settings ? std::string() : settings.error().text;
    };
    CHECK(refused("") != "");
    // A database of master users is left out and warned of: the others' logins go on.
    CHECK(refused("passdb {\n driver = static\n master = yes\n}\n").find("No passdbs") != std::string::npos);
    const std::string passdb = "passdb {\n driver = static\n args = nopassword=y\n}\n";
    CHECK(refused((passdb + "auth_mechanisms = plain nosuch\n").c_str())
              .find("dovecot.conf:5: auth_mechanisms: Unknown authentication mechanism 'NOSUCH'") == 0);
    CHECK(refused((passdb + "auth_mechanisms = cram-md5\n").c_str())
              .find("dovecot.conf:5: auth_mechanisms: none of them is supported") == 0);
    auto mixed = DovecotConf::parse(passdb + "auth_mechanisms = cram-md5 plain\n", "dovecot.conf");
    REQUIRE(mixed);
    auto kept = load_settings(*mixed);
    REQUIRE(kept);
    CHECK(kept->mechanisms == std::vector<std::string>{"PLAIN"});
    CHECK(mixed->warnings() ==
          std::vector<std::string>{
              "dovecot.conf:5: auth_mechanisms: cram-md5 is not supported: nobody can log in with it"});
    CHECK(refused("passdb {\n driver = static\n result_success = perhaps\n}\n").find("perhaps") != std::string::npos);
    CHECK(refused("auth_verbose_passwords = sometimes\npassdb {\n driver = static\n}\n") != "");
}

TEST_CASE("a login that is passed to the next server is fetched there once, with all that a userdb lookup needs") {
    auto settings = settings_of("");
    postcot::Loop loop;
    Request request(settings);
    request.mechanism = "PLAIN";
    postcot::sasl::Fields parameters;
    parameters.add("service", "imap");
    parameters.add("rip", "192.0.2.7");
    parameters.add("secured");
    request.take_parameters(parameters);
    REQUIRE(request.set_user("Ann"));
    CHECK(request.add_passdb_field("x", "userdb_mail", "maildir:~/M"));

    postcot::ipc::Writer writer;
    PassedLogin(7, 9, "cookie", request).encode(writer);
    postcot::ipc::Reader reader(writer.bytes());
    PassedLogin arrived = PassedLogin::decode(reader);
    REQUIRE(reader.ok());
    PassedLogins logins;
    logins.add(std::move(arrived));

    auto fetched = loop.run_until_complete(logins.take(settings, 7, 9, "cookie", postcot::Millis(0)));
    REQUIRE(fetched);
    CHECK(fetched->user == "ann");
    CHECK(fetched->original_user == "Ann");
    CHECK(fetched->service == "imap");
    CHECK(fetched->rip == "192.0.2.7");
    CHECK(fetched->secured);
    CHECK(fetched->userdb.get("mail") == "maildir:~/M");
    CHECK_FALSE(loop.run_until_complete(logins.take(settings, 7, 9, "cookie", postcot::Millis(0))));
}
