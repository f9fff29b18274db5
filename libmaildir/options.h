// Where a user's mail is and how it is presented: dovecot.conf's mail_location, namespaces and mailbox sections.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/error.h"

namespace postcot::config {
class DovecotConf;
}

namespace postcot::maildir {

// mailbox NAME { special_use = \Sent  auto = subscribe }
struct MailboxConfig {
    std::string name;          // UTF-8, without the namespace prefix
    std::string special_use;   // "\Sent"; several separated by spaces
    enum class Auto { kNo, kCreate, kSubscribe } auto_create = Auto::kNo;
};

struct NamespaceConfig {
    enum class Type { kPrivate, kShared, kPublic } type = Type::kPrivate;
    std::string prefix;     // "INBOX." or empty
    char separator = '.';   // Maildir++'s own is '.'; '/' is Dovecot's default for LAYOUT=fs
    bool inbox = true;      // this namespace has the INBOX
    bool hidden = false;
    bool list = true;
    bool subscriptions = true;   // keeps its own subscriptions file
    std::string location;        // mail_location form; empty: StoreOptions::mail_location
    std::vector<MailboxConfig> mailboxes;
};

// %-variables of mail_location and namespace locations: already expanded in StoreOptions.
struct UserVariables {
    std::string user;   // %u; %n and %d are its parts
    std::string home;   // %h and ~
};

struct StoreOptions {
    std::string user;
    std::string home;
    std::string mail_location;   // "maildir:~/Maildir:INDEX=...:CONTROL=...:INBOX=...:LAYOUT=fs", expanded
    std::vector<NamespaceConfig> namespaces;
    bool fsync_on_save = true;                // mail_fsync != never
    bool copy_with_hardlinks = true;          // maildir_copy_with_hardlinks
    uint64_t max_index_bytes = 16ULL << 30;   // LMDB map size: address space, not disk
};

// `mail` from userdb (empty: the mail_location setting). Namespaces default to one private with the INBOX.
// Errors, UNAVAILABLE: a location that is not a Maildir, has a suffix that is not served, or an unknown variable; the
// text names the setting or the userdb field.
Expected<StoreOptions> store_options(const config::DovecotConf& conf, std::string_view protocol,
                                     const UserVariables& variables, std::string_view mail = {});

// The same errors of what dovecot.conf says, before anybody logs in: "Error in configuration file <file> line <n>: ...".
Expected<void> check_locations(const config::DovecotConf& conf, std::string_view protocol);

}   // namespace postcot::maildir
