// passwd-file (Dovecot's AuthDatabase/PasswdFile): user:password:uid:gid:gecos:home:shell:extra fields. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libproto/sasl/auth_protocol.h"

namespace postcot::authd {

struct PasswdFileEntry {
    std::string user;
    std::string password;   // with its {SCHEME}, if it has one
    std::string uid, gid;   // as written: names or numbers
    std::string home;
    sasl::Fields extra;        // "userdb_mail=maildir:~/Maildir nodelay=y"
    bool has_userdb = false;   // the line goes on after the password
};

// Lines that are empty or start with '#' or ':' are skipped.
std::optional<PasswdFileEntry> parse_passwd_file_line(std::string_view line);

struct PasswdFile {
    std::unordered_map<std::string, PasswdFileEntry>
        entries;                      // of two lines for one user the first counts, as in Dovecot
    std::vector<std::string> order;   // users as they stand in the file
};
PasswdFile parse_passwd_file(std::string_view text);

// "scheme=CRYPT username_format=%u /etc/dovecot/users"
struct PasswdFileArgs {
    std::string scheme = "CRYPT";
    std::string username_format = "%u";
    std::string path;   // may hold %-variables
};
Expected<PasswdFileArgs> parse_passwd_file_args(std::string_view args);

}   // namespace postcot::authd
