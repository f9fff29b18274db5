// What dovecot.conf says about authentication, checked once at start and on reload, then passed down as a const struct.
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::config {
class DovecotConf;
class DovecotSection;
}   // namespace postcot::config

namespace postcot::authd {

// "name=value" of default_fields, override_fields and the args of static: values hold %-variables.
struct FieldTemplate {
    std::string name;
    std::optional<std::string> value;
};

// One passdb { } or userdb { }.
struct Database {
    enum class Rule { kReturn, kReturnOk, kReturnFail, kContinue, kContinueOk, kContinueFail };
    enum class Skip { kNever, kAuthenticated, kUnauthenticated };

    std::string driver;
    std::string args;
    std::vector<FieldTemplate> default_fields, override_fields;
    Rule on_success = Rule::kReturnOk;
    Rule on_failure = Rule::kContinue;
    Rule on_internal_failure = Rule::kContinue;
    Skip skip = Skip::kNever;
    bool deny = false;                          // passdb: who is in it may not log in
    std::vector<std::string> mechanisms;        // passdb: only for these; upper case
    std::vector<std::string> username_filter;   // passdb: masks; "!mask" excludes
    std::optional<bool> verbose;                // auth_verbose inside the section
    std::string where;                          // "dovecot.conf:12", for errors
};

struct SocketSettings {
    enum class Kind { kClient, kLogin, kMaster, kUserdb } kind = Kind::kClient;
    std::string path;   // absolute
    int mode = 0600;
    std::string user, group;   // empty: leave
};

struct Settings {
    std::vector<std::string> mechanisms;   // upper case
    std::vector<std::string> realms;
    std::string default_realm;
    std::bitset<256> username_chars;                // all set: anything goes
    std::array<char, 256> username_translation{};   // 0: as it is
    std::string username_format;
    std::string anonymous_username;
    std::chrono::milliseconds failure_delay{2000};
    bool verbose = false;
    bool debug = false;
    // auth_verbose_passwords: what a "Password mismatch" line shows of the password.
    enum class ShowPassword { kNo, kPlain, kSha1 } show_password = ShowPassword::kNo;
    size_t show_password_length = 0;   // 0: all of it

    std::vector<Database> passdbs, userdbs;
    std::vector<SocketSettings> sockets;
    std::string base_dir;
    std::string internal_user;             // default_internal_user: authd runs as
    std::string service_user;              // service auth { user }
    std::string login_user, login_group;   // default_login_user: group of base_dir/login
    unsigned client_limit = 1000;          // connections
    unsigned worker_limit = 30;            // auth_worker_max_count

    uint32_t first_valid_uid = 500, last_valid_uid = 0;   // which system users `doveadm user *` lists; last 0: no bound

    // Warnings name settings that are not honoured.
    std::vector<std::string> warnings;

    bool uses_root_workers() const;   // a pam or shadow driver is configured
    bool uses_name_service() const;   // getpwnam is called: its modules may connect to anything
};

Expected<Settings> load_settings(const config::DovecotConf& conf);

// "uid=vmail gid=vmail home=/v/%d/%n" split at spaces.
std::vector<FieldTemplate> parse_fields(std::string_view text);

}   // namespace postcot::authd
