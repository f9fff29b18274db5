// dovecot.conf (doveconf(1)): sections, nesting, !include, !include_try, <file, $var; 2.3 names, and 2.4 names for what
// is served. What else a Dovecot from 2.0 to 2.4 knows is kept and named by warnings().
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::config {

// A named block: `service auth { ... }`, `passdb { ... }`, `namespace inbox { mailbox Drafts { ... } }`.
class DovecotSection {
  public:
    std::string type;   // "service"
    std::string name;   // "auth"; may be empty
    std::string file;
    int line = 0;   // 0: built in and not mentioned in the file
    bool built_in = false;
    bool served = true;   // false: a kind of section that some Dovecot has and nothing here looks into
    bool list = false;    // 2.4's list, protocols { imap = yes }: a setting, put together when everything is read

    // Value set in this section, or the type's default from the setting table.
    std::string str(std::string_view key) const;
    bool is_set(std::string_view key) const;
    bool boolean(std::string_view key) const;
    int64_t integer(std::string_view key) const;
    uint64_t size(std::string_view key) const;                    // bytes: "10M"
    std::chrono::milliseconds time(std::string_view key) const;   // "30s", "200 msecs"
    std::vector<const DovecotSection*> sections(std::string_view type) const;
    const DovecotSection* section(std::string_view type, std::string_view name) const;

    struct Setting {
        std::string key, value;
        std::string file;
        int line = 0;                  // 0: built in
        bool from_file = false;        // written as `key = <path`; value is the path
        std::string default_value{};   // what a built-in service has when has_default
        bool has_default = false;
        std::vector<std::string> places{};   // of 2.4's list { word = yes }: "file:line" of each word
    };
    std::vector<Setting> settings;
    std::vector<std::unique_ptr<DovecotSection>> children;
    const DovecotSection* root = nullptr;
};

// Words of auth_mechanisms: those that some Dovecot has, and those that are here.
inline constexpr std::string_view kDovecotMechanisms =
    "anonymous apop cram-md5 digest-md5 external gss-spnego gssapi login ntlm oauthbearer otp plain rpa scram-sha-1 scram-sha-256 skey winbind "
    "xoauth2 dovecot-token lua";
inline constexpr std::string_view kServedMechanisms = "plain login";

class DovecotConf {
  public:
    // Reads <dir>/dovecot.conf and what it includes; checks types. Errors are Dovecot's: "Error in configuration file
    // <file> line <n>: ...".
    static Expected<DovecotConf> load(const std::string& directory);
    // `as_written`: only a setting's reference to itself is expanded, as doveconf shows it.
    static Expected<DovecotConf> load_file(const std::string& path, bool as_written = false);
    // Pure: !include is an error here, !include_try nothing.
    static Expected<DovecotConf> parse(std::string_view text, const std::string& file_name);

    // `protocol` selects `protocol imap { }` blocks ("" for none) over the global value over the default.
    // `key = <path` gives the file's content, read now: ask before the sandbox is entered.
    std::string str(std::string_view key, std::string_view protocol = {}) const;
    // The absolute path of `key = <path` (ssl_cert, ssl_key); empty when the value is given otherwise or not at all.
    std::string file(std::string_view key, std::string_view protocol = {}) const;
    // Whether the files of all settings `key = <path` with one of these keys can be read. Dovecot: "... line <n>: ssl_cert: Can't open file ...".
    Expected<void> check_files(std::initializer_list<std::string_view> keys) const;
    std::string written(std::string_view key,
                        std::string_view protocol = {}) const;   // as it stands in the file, without the '<'
    bool is_set(std::string_view key, std::string_view protocol = {}) const;
    bool boolean(std::string_view key, std::string_view protocol = {}) const;
    int64_t integer(std::string_view key, std::string_view protocol = {}) const;
    uint64_t size(std::string_view key, std::string_view protocol = {}) const;
    std::chrono::milliseconds time(std::string_view key, std::string_view protocol = {}) const;
    std::vector<std::string> list(std::string_view key, std::string_view protocol = {}) const;   // space separated

    std::vector<const DovecotSection*> sections(
        std::string_view type) const;   // in order: passdb, userdb, namespace, service
    const DovecotSection* section(std::string_view type,
                                  std::string_view name) const;   // merged; nullptr when absent and not built in
    std::string plugin(std::string_view key) const;               // plugin { } settings
    // Listeners of `service NAME`, with Dovecot's built-in defaults merged (imap-login: imap 143, imaps 993 ssl; auth:
    // auth-userdb, auth-client, login/login ...).
    std::vector<const DovecotSection*> listeners(
        std::string_view service, std::string_view kind) const;   // kind: inet_listener, unix_listener, fifo_listener

    const DovecotSection& root() const;   // the whole tree, for doveconf
    const std::string& directory() const;
    // "file:line" of a global setting; the file alone when it is not set.
    std::string where(std::string_view key) const;
    // One line for each thing that is set and not served, naming file and line.
    std::vector<std::string> warnings() const;

  private:
    static Expected<DovecotConf> parse_in(std::string_view text, const std::string& file_name,
                                          const std::string& directory, bool follow_includes, bool as_written = false);
    struct State;
    std::shared_ptr<const State> state_;
};

}   // namespace postcot::config
