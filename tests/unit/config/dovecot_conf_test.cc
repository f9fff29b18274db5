#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "libproto/config/dovecot.h"
#include "tests/unit/catch.h"

using namespace postcot::config;

namespace {

DovecotConf parse(const char* text) {
    auto conf = DovecotConf::parse(text, "dovecot.conf");
    INFO((conf ? std::string() : conf.error().text));
    REQUIRE(conf);
    return *conf;
}

std::string error_of(const char* text) {
    auto conf = DovecotConf::parse(text, "d.conf");
    return conf ? "none" : conf.error().text;
}

}   // namespace

TEST_CASE("dovecot.conf: quoting, comments, continuation and $variables as doveconf reads them") {
    auto conf = parse(
        "mail_uid = \"a b\\\"c\"  # hi\nmail_gid = 'x $mail_uid'\nmail_location = a \\\n b\n"
        "plugin {\n a = b\n c = x $a $mail_uid\n}\nmail_plugins = one\nmail_plugins = $mail_plugins two\nmail_home = "
        "x$mail_uid "
        "$unknown\nlog_path=/x#y\nauth_realms = \"a\"b\n");
    CHECK(conf.str("mail_uid") == "a b\"c");
    CHECK(conf.str("mail_gid") == "x $mail_uid");
    CHECK(conf.str("mail_location") == "a b");
    CHECK(conf.str("mail_plugins") == "one two");
    CHECK(conf.plugin("c") == "x $a a b\"c");
    CHECK(conf.str("mail_home") == "x$mail_uid $unknown");
    CHECK(conf.str("log_path") == "/x");
    CHECK(conf.str("auth_realms") == "\"a\"b");
    CHECK(parse("mail_uid=x\\\n\\\ny\n").str("mail_uid") == "x y");
    CHECK(parse("service auth {\nunix_listener x {\nmode = 660\n}\n}\n")
              .listeners("auth", "unix_listener")
              .back()
              ->integer("mode") == 660);
    CHECK(conf.warnings().at(0).find("Ambiguous '#'") != std::string::npos);
    CHECK(conf.time("auth_failure_delay") == std::chrono::seconds(2));
    CHECK(conf.size("imap_max_line_length") == 65536);
}

TEST_CASE("dovecot.conf: protocol blocks override the global value for their protocol only") {
    auto conf = parse(
        "mail_max_userip_connections = 5\nprotocol imap {\n  mail_max_userip_connections = 20\n}\n"
        "protocol !pop3 {\n mail_debug = yes\n}\n");
    CHECK(conf.integer("mail_max_userip_connections") == 5);
    CHECK(conf.integer("mail_max_userip_connections", "imap") == 20);
    CHECK(conf.integer("mail_max_userip_connections", "pop3") == 5);
    CHECK(conf.boolean("mail_debug", "imap"));
    CHECK_FALSE(conf.boolean("mail_debug", "pop3"));
}

TEST_CASE("dovecot.conf: services keep Dovecot's built-in listeners unless told otherwise") {
    auto conf = parse(
        "default_internal_user = someone\nservice imap-login {\n  inet_listener imap {\n    port = 2143\n  }\n}\n"
        "service auth {\n  unix_listener /var/spool/postfix/private/auth {\n    mode = 0660\n    user = postfix\n    "
        "group = postfix\n  }\n}\n");
    auto inet = conf.listeners("imap-login", "inet_listener");
    REQUIRE(inet.size() == 2);
    CHECK(inet[0]->name == "imap");
    CHECK(inet[0]->integer("port") == 2143);
    CHECK_FALSE(inet[0]->boolean("ssl"));
    CHECK(inet[1]->integer("port") == 993);
    CHECK(inet[1]->boolean("ssl"));
    const auto* auth = conf.section("service", "auth");
    REQUIRE(auth);
    CHECK(auth->str("user") == "someone");
    const auto* userdb = auth->section("unix_listener", "auth-userdb");
    REQUIRE(userdb);
    CHECK(userdb->integer("mode") == 0666);
    CHECK(userdb->str("user") == "someone");
    const auto* postfix = auth->section("unix_listener", "/var/spool/postfix/private/auth");
    REQUIRE(postfix);
    CHECK(postfix->integer("mode") == 0660);
    CHECK(postfix->line == 8);
}

TEST_CASE("dovecot.conf: passdb blocks stay apart, namespace and plugin blocks of one name are one") {
    auto conf = parse(
        "passdb {\n driver = passwd-file\n args = scheme=PLAIN /etc/users\n}\npassdb {\n driver = pam\n}\nuserdb {\n "
        "driver = static\n}\n"
        "namespace inbox {\n inbox = yes\n mailbox Drafts {\n special_use = \\Drafts\n auto = subscribe\n }\n}\n"
        "namespace inbox {\n separator = /\n mailbox \"Sent Messages\" {\n special_use = \\Sent\n }\n}\n"
        "plugin {\n quota = maildir\n}\nplugin/x = y\nservice/imap/process_limit = 7\n");
    REQUIRE(conf.sections("passdb").size() == 2);
    CHECK(conf.sections("passdb")[0]->str("args") == "scheme=PLAIN /etc/users");
    CHECK(conf.sections("passdb")[1]->str("result_success") == "return-ok");
    REQUIRE(conf.sections("namespace").size() == 1);
    const auto* inbox = conf.section("namespace", "inbox");
    CHECK(inbox->boolean("inbox"));
    CHECK(inbox->str("separator") == "/");
    REQUIRE(inbox->sections("mailbox").size() == 2);
    CHECK(inbox->section("mailbox", "Sent Messages")->str("special_use") == "\\Sent");
    CHECK(inbox->section("mailbox", "Drafts")->str("auto") == "subscribe");
    CHECK(conf.plugin("x") == "y");
    CHECK(conf.section("service", "imap")->integer("process_limit") == 7);
}

TEST_CASE("dovecot.conf: an error names file, line and reason") {
    const std::string at1 = "Error in configuration file d.conf line 1: ";
    CHECK(error_of("foo = bar\n") == at1 + "Unknown setting: foo");
    CHECK(error_of("mail_locaton = x\n") == at1 + "Unknown setting: mail_locaton (did you mean mail_location?)");
    CHECK(error_of("sevice imap {\n}\n") == at1 + "Unknown setting: sevice (did you mean service {?)");
    CHECK(error_of("protocols = imap impa\n") == at1 + "protocols: Unknown protocol: impa");
    CHECK(error_of("x\n") == at1 + "Expecting '=' or '{' after \"x\"");
    CHECK(error_of("mail_debug = x\n") == at1 + "Invalid boolean value: x (use yes or no)");
    CHECK(error_of("service imap {\n") ==
          "Error in configuration file d.conf: Missing '}' (section started at d.conf:1)");
    CHECK(error_of("}\n") == at1 + "Unexpected '}'");
    CHECK(error_of("auth_failure_delay = 5\n") ==
          at1 + "Time interval '5' is missing units (add e.g. 's' for seconds)");
    CHECK(error_of("passdb { driver = pam }\n") == at1 + "Garbage after '{'");
    CHECK(error_of("\nservice foo {\nbar = 1\n}\n") ==
          "Error in configuration file d.conf line 3: Unknown setting: service { bar");
    CHECK(error_of("ssl = maybe\n").find("Invalid value: maybe") != std::string::npos);
    CHECK(error_of("passdb {\nresult_success = perhaps\n}\n").find("line 2: Invalid value: perhaps") !=
          std::string::npos);
    CHECK(error_of("passdb a {\n}\npassdb a {\n}\n").find("line 3: passdb/a already exists") != std::string::npos);
    CHECK(error_of("auth_failure_delay = 1500 msecs\n") ==
          at1 + "Milliseconds not supported for this setting: 1500 msecs");
    CHECK(error_of("protocol imap {\nprotocol pop3 {\n}\n}\n").find("line 2: Nested protocol") != std::string::npos);
    CHECK(error_of("!include x\n") == at1 + "!include is only possible in a file");
}

TEST_CASE("dovecot.conf: 2.4's spellings mean what 2.3's do") {
    auto conf = parse(
        "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nauth_allow_cleartext = yes\n"
        "mail_driver = maildir\nmail_path = ~/Maildir\nmail_index_path = /var/i/%{user | username | lower}\n"
        "ssl_server_cert_file = /etc/c.pem\nssl_server_key_file = /etc/k.pem\nauth_username_format = %{user | lower}\n"
        "protocols {\n imap = yes\n pop3 = no\n lmtp = yes\n}\n"
        "passdb passwd-file {\n default_password_scheme = PLAIN\n passwd_file_path = /etc/users\n}\n"
        "userdb static {\n fields {\n uid = vmail\n home = /srv/%{user | domain}/%{user}\n }\n}\n");
    CHECK_FALSE(conf.boolean("disable_plaintext_auth"));
    CHECK(conf.str("mail_location") == "maildir:~/Maildir:INDEX=/var/i/%Ln");
    CHECK(conf.file("ssl_cert") == "/etc/c.pem");
    CHECK(conf.file("ssl_key") == "/etc/k.pem");
    CHECK(conf.str("auth_username_format") == "%Lu");
    CHECK(conf.list("protocols") == std::vector<std::string>{"imap", "lmtp"});
    CHECK(conf.sections("passdb").at(0)->str("driver") == "passwd-file");
    CHECK(conf.sections("passdb").at(0)->str("args") == "scheme=PLAIN /etc/users");
    CHECK(conf.sections("userdb").at(0)->str("args") == "uid=vmail home=/srv/%d/%u");
}

TEST_CASE("dovecot.conf: !include takes globs beside the file, !include_try may find nothing, <file gives content") {
    namespace fs = std::filesystem;
    char pattern[] = "/tmp/dovecot-conf-XXXXXX";
    fs::path directory = ::mkdtemp(pattern);
    fs::create_directory(directory / "conf.d");
    auto write = [&](const char* name, const char* text) { std::ofstream(directory / name) << text; };
    write("dovecot.conf", "!include conf.d/*.conf\n!include_try nothing/*.conf\nssl_cert = <cert.pem\n");
    write("conf.d/20-b.conf", "mail_home = $mail_home second\n");
    write("conf.d/10-a.conf", "mail_home = first\n");
    write("cert.pem", "CERT\n");
    auto conf = DovecotConf::load(directory);
    REQUIRE(conf);
    CHECK(conf->str("mail_home") == "first second");
    CHECK(conf->str("ssl_cert") == "CERT\n");
    CHECK(conf->file("ssl_cert") == (directory / "cert.pem").string());
    CHECK(conf->directory() == directory.string());
    write("conf.d/20-b.conf", "\nmail_debug = perhaps\n");
    auto bad = DovecotConf::load(directory);
    REQUIRE_FALSE(bad);
    CHECK(bad.error().text.find("conf.d/20-b.conf line 2: Invalid boolean") != std::string::npos);
    write("dovecot.conf", "!include dovecot.conf\n");
    CHECK_FALSE(DovecotConf::load(directory));
    fs::remove_all(directory);
}
