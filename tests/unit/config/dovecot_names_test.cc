// What some Dovecot knows and nothing here serves: read, named, never an error. And what 2.4 writes in its own way.
#include "libproto/config/dovecot_names.h"

#include <algorithm>
#include <string>

#include "libproto/config/dovecot.h"
#include "libproto/config/dovecot_settings.h"
#include "tests/unit/catch.h"

using namespace postcot::config;

namespace {

DovecotConf parse(const std::string& text) {
    auto conf = DovecotConf::parse(text, "d.conf");
    INFO((conf ? std::string() : conf.error().text));
    REQUIRE(conf);
    return *conf;
}

std::string error_of(const std::string& text) {
    auto conf = DovecotConf::parse(text, "d.conf");
    return conf ? "none" : conf.error().text;
}

// The warnings, one a line.
std::string said(const std::string& text) {
    std::string out;
    for (const auto& warning : parse(text).warnings()) out += warning + '\n';
    return out;
}

// A value of the kind that the setting has; 2.4's others take any text here.
std::string some_value(std::string_view name) {
    const Parameter* parameter = find_dovecot_setting("", name);
    return parameter                              ? std::string(parameter->default_value)
           : name == "auth_allow_cleartext"       ? "no"
           : name == "default_idle_kill_interval" ? "1 mins"
                                                  : "1";
}

}   // namespace

TEST_CASE("dovecot.conf: no name that Dovecot 2.3 or 2.4 has at its top level is an error") {
    for (std::string_view name : dovecot_2_4_names()) {
        std::string value = name == "protocols" ? "imap" : some_value(name);
        INFO(name);
        CHECK(error_of("dovecot_config_version = 2.4.1\n" + std::string(name) + " = " + value + "\n") == "none");
    }
    for (const auto& known : dovecot_settings()) {
        if (!known.section.empty()) continue;
        INFO(known.parameter.name);
        std::string line =
            std::string(known.parameter.name) + " = \"" + std::string(known.parameter.default_value) + "\"\n";
        CHECK(error_of(line) == "none");
        CHECK(said(line).empty());   // at its default, it asks for nothing
    }
    auto names = dovecot_2_4_names();
    CHECK(std::is_sorted(names.begin(), names.end()));
}

TEST_CASE("dovecot.conf: what is known and not served is named with its place") {
    CHECK(said("managesieve_logout_format = x\n") ==
          "d.conf:1: setting managesieve_logout_format is not supported: it has no effect\n");
    CHECK(said("\nssl_protocols = !SSLv3\n") ==
          "d.conf:2: setting ssl_protocols is not supported: ssl_min_protocol counts\n");
    CHECK(said("ssl_dh_parameters_length = 2048\n").find("d.conf:1: setting ssl_dh_parameters_length is not") == 0);
    CHECK(said("sieve_whatever = 1\n") == "d.conf:1: setting sieve_whatever is not supported: no Sieve script runs\n");
    CHECK(said("mail_plugins = $mail_plugins quota acl\n") ==
          "d.conf:1: plugin quota is not supported: no quota is kept\nd.conf:1: plugin acl is not supported: no access "
          "list is looked at\n");
    CHECK(said("plugin {\n sieve = ~/.dovecot.sieve\n}\n") ==
          "d.conf:2: plugin setting sieve is not supported: no Sieve script runs\n");
    CHECK(said("metric x {\n event_name = y\n}\nevent_exporter log {\n format = json\n}\n") ==
          "d.conf:1: section metric x is not supported: it has no effect\nd.conf:4: section event_exporter log is not "
          "supported: it has no effect\n");
    CHECK(said("quota \"User quota\" {\n quota_storage_size = 1G\n warning w {\n  execute x {\n  }\n }\n}\n") ==
          "d.conf:1: section quota \"User quota\" is not supported: no quota is kept\n");
    CHECK(said("sieve_script personal {\n path = x\n}\n").find("d.conf:1: section sieve_script personal is not") == 0);
    CHECK(said("dovecot_config_version = 2.4.1\nmailbox Trash {\n auto = create\n}\n") ==
          "d.conf:2: section mailbox Trash is not supported: it has no effect\n");
    CHECK(error_of("mailbox Trash {\n}\n") == "Error in configuration file d.conf line 1: Unknown setting: mailbox");
    CHECK(error_of("disable_plain_auth = no\n").find("(did you mean disable_plaintext_auth?)") != std::string::npos);
    CHECK(said("local_name a.example {\n ssl_cert = </c\n ssl_key = </k\n}\n").empty());
    CHECK(said("local_name a.example {\n ssl_cert = </c\n login_greeting = x\n protocol imap {\n }\n}\n") ==
          "d.conf:3: setting local_name a.example { login_greeting } is not supported: it has no effect\n"
          "d.conf:4: section local_name a.example { protocol imap } is not supported: it has no effect\n");
    CHECK(said("service imap {\n user = $default_internal_user\n}\nservice lmtp {\n user =\n process_limit = 0\n}\n")
              .empty());
    CHECK(said("dict_server {\n}\n").empty());
    CHECK(said("local 10.0.0.1 {\n ssl = no\n}\n") ==
          "d.conf:1: section local 10.0.0.1 is not supported: it has no effect\n");
    CHECK(said("passdb {\n driver = passwd-file\n args = /x\n master = yes\n}\n") ==
          "d.conf:4: setting passdb { master } is not supported: master users cannot log in\n");
    CHECK(said("mail_cache_max_size = 1M\nhttp_client_rawlog_dir = x\n").empty());
}

TEST_CASE("dovecot.conf: protocols, services and listeners that nobody serves are named") {
    CHECK(said("protocols = imap lmtp sieve submission\n") ==
          "d.conf:1: protocols: lmtp is not served here: LMTP is served by lines with lmtpd in master.cf\n"
          "d.conf:1: protocols: sieve is not served: nobody answers ManageSieve, and no Sieve script runs\n"
          "d.conf:1: protocols: submission is not served: nobody listens for it\n");
    CHECK(said("protocols {\n imap = yes\n lmtp = yes\n}\nmail_plugins {\n acl = yes\n}\n") ==
          "d.conf:3: protocols: lmtp is not served here: LMTP is served by lines with lmtpd in master.cf\n"
          "d.conf:6: plugin acl is not supported: no access list is looked at\n");
    CHECK(said("service lmtp {\n unix_listener /var/spool/postfix/private/dovecot-lmtp {\n  mode = 0600\n }\n}\n") ==
          "d.conf:1: service lmtp is not served: nobody listens on /var/spool/postfix/private/dovecot-lmtp; LMTP is "
          "served by lines with lmtpd in "
          "master.cf\n");
    CHECK(said("service quota-status {\n executable = quota-status -p postfix\n inet_listener {\n  port = 12340\n "
               "}\n}\n") == "d.conf:1: service quota-status is not served: nobody listens on inet_listener\n");
    CHECK(said("service managesieve-login {\n inet_listener sieve {\n  port = 4190\n }\n}\n") ==
          "d.conf:1: service managesieve-login is not served: nobody listens on sieve\n");
    CHECK(said("service postlogin {\n executable = script-login x\n}\n")
              .find("d.conf:1: service postlogin is not served") == 0);
    CHECK(said("service submission-login {\n inet_listener submission {\n  port = 588\n }\n}\n")
              .find("nobody listens on submission") != std::string::npos);
    CHECK(said("service doveadm {\n inet_listener {\n  port = 8080\n }\n}\n")
              .find("d.conf:1: service doveadm is not served") == 0);
    CHECK(said("service auth {\n inet_listener {\n  port = 12345\n }\n}\n") ==
          "d.conf:2: service auth: inet_listener is not served: nobody listens there\n");
    CHECK(said("service stats {\n unix_listener stats-writer {\n  mode = 0666\n }\n}\n") ==
          "d.conf:2: service stats: unix_listener stats-writer is not served: nobody listens there\n");
    CHECK(said("service imap {\n executable = imap postlogin\n}\n") ==
          "d.conf:2: service imap: executable = imap postlogin is not served: no other program runs for a login\n");
    CHECK(said("service imap {\n executable = /usr/lib/dovecot/imap\n}\nservice stats {\n client_limit = 5\n}\n")
              .empty());
    CHECK(said("protocol lmtp {\n postmaster_address = a@b\n mail_plugins = sieve\n}\n") ==
          "d.conf:1: protocol lmtp is not served: no effect have postmaster_address mail_plugins\n");
    CHECK(said("namespace s {\n type = shared\n prefix = shared/\n}\n") ==
          "d.conf:1: namespace s { type = shared } is not supported: other users' mailboxes are not there\n");
    // Debian's own, in both versions: empty, or off.
    CHECK(said("service lmtp {\n unix_listener lmtp {\n }\n}\nservice submission-login {\n inet_listener submission "
               "{\n }\n inet_listener submissions {\n }\n}\n"
               "service dict {\n unix_listener dict {\n }\n}\nservice auth-worker {\n}\nservice imap-login {\n "
               "inet_listener imap {\n  port = 0\n }\n}\n")
              .empty());
}

TEST_CASE("dovecot.conf: 2.4's sections say what 2.3's settings do") {
    auto conf = parse(
        "dovecot_config_version = 2.4.1\nssl_server {\n cert_file = /c.pem\n key_file = /k.pem\n}\n"
        "passdb pam {\n session = yes\n service_name = mail\n failure_show_msg = yes\n use_worker = yes\n}\n"
        "passdb static {\n password = x\n}\npassdb passwd-file {\n passwd_file_path = /u\n}\n"
        "mail_driver = maildir\nmail_path = ~/Maildir\nmailbox_list_utf8 = yes\n"
        "namespace other {\n mail_path = /srv/other\n namespace_prefix = other/\n}\n"
        "service imap-login {\n restart_request_count = unlimited\n vsz_limit = unlimited\n service_process_min_avail "
        "= 3\n}\n"
        "auth_mechanisms {\n plain = yes\n login = yes\n}\nlogin_trusted_networks = 10.0.0.0/8\n");
    CHECK(conf.file("ssl_cert") == "/c.pem");
    CHECK(conf.file("ssl_key") == "/k.pem");
    REQUIRE(conf.sections("passdb").size() == 3);
    CHECK(conf.sections("passdb")[0]->str("args") == "session=yes failure_show_msg=yes mail");
    CHECK(conf.sections("passdb")[1]->str("args") == "password=x");
    CHECK(conf.sections("passdb")[2]->str("args") == "/u");
    CHECK(conf.str("mail_location") == "maildir:~/Maildir:UTF-8");
    CHECK(conf.section("namespace", "other")->str("location") == "maildir:/srv/other:UTF-8");
    CHECK(conf.section("namespace", "other")->str("prefix") == "other/");
    CHECK(conf.section("service", "imap-login")->integer("service_count") == 0);
    CHECK(conf.section("service", "imap-login")->integer("process_min_avail") == 3);
    CHECK(conf.list("auth_mechanisms") == std::vector<std::string>{"plain", "login"});
    CHECK(conf.warnings().empty());
}

TEST_CASE("dovecot.conf: 2.4's groups fill in what their place does not say") {
    const std::string group =
        "group @boxes en {\n mailbox Trash {\n  special_use = \\Trash\n }\n mailbox Sent {\n  auto = create\n }\n}\n";
    const std::string use = "namespace inbox {\n mailbox Sent {\n  auto = no\n }\n @boxes = en\n}\n";
    for (const std::string& text : {group + use, use + group}) {
        auto conf = parse("dovecot_config_version = 2.4.1\n" + text);
        const auto* inbox = conf.section("namespace", "inbox");
        REQUIRE(inbox);
        REQUIRE(inbox->section("mailbox", "Trash"));
        CHECK(inbox->section("mailbox", "Trash")->str("special_use") == "\\Trash");
        CHECK(inbox->section("mailbox", "Sent")->str("auto") == "no");
    }
    CHECK(error_of("@boxes = en\n") == "Error in configuration file d.conf line 1: Unknown group label @boxes en");
    CHECK(error_of("group @a b {\n @a = b\n}\n@a = b\n").find("d.conf line") != std::string::npos);
}

TEST_CASE("dovecot.conf: what Dovecot 2.4 would not start with is named under its own version") {
    std::string text = said(
        "dovecot_config_version = 2.4.1\nmail_location = maildir:~/M\ndisable_plaintext_auth = no\nssl_cert = "
        "</x\npassdb {\n driver = pam\n}\n"
        "plugin {\n}\n");
    CHECK(text.find("d.conf:2: Dovecot 2.4 does not know mail_location (there mail_driver and mail_path) and would not "
                    "start with it\n") != std::string::npos);
    CHECK(text.find("d.conf:3: Dovecot 2.4 does not know disable_plaintext_auth (there auth_allow_cleartext)") !=
          std::string::npos);
    CHECK(text.find("d.conf:4: Dovecot 2.4 does not know ssl_cert (there ssl_server_cert_file)") != std::string::npos);
    CHECK(text.find("d.conf:5: Dovecot 2.4 does not know a passdb without a name") != std::string::npos);
    CHECK(text.find("d.conf:8: Dovecot 2.4 does not know plugin { }") != std::string::npos);
    CHECK(said("mail_location = maildir:~/M\ndisable_plaintext_auth = no\n").empty());
    CHECK(said("dovecot_config_version = 2.4.1\nmail_driver = maildir\nmail_path = ~/M\nssl = required\n").empty());
}
