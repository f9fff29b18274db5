// Dovecot 2.4 renamed many settings of 2.3. Those in common use are understood and brought to their 2.3 names here.
#include <algorithm>

#include "libproto/config/dovecot_names.h"
#include "libproto/config/dovecot_parser.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

struct Renamed {
    std::string_view section;
    std::string_view name;       // 2.4
    std::string_view old_name;   // 2.3
    char how;   // '=': same value, '!': opposite boolean, '<': 2.4 gives the file's name, 2.3 its content
};

constexpr Renamed kRenamed[] = {
    {"", "auth_allow_cleartext", "disable_plaintext_auth", '!'},
    {"", "auth_default_domain", "auth_default_realm", '='},
    {"", "default_idle_kill_interval", "default_idle_kill", '='},
    {"", "dbox_rotate_size", "mdbox_rotate_size", '='},   // these five are 1.x's; 2.3 still reads them so
    {"", "ssl_disable", "ssl", '!'},
    {"", "ssl_cert_file", "ssl_cert", '<'},
    {"", "ssl_key_file", "ssl_key", '<'},
    {"", "ssl_ca_file", "ssl_ca", '<'},
    {"", "ssl_client_cert_file", "ssl_client_cert", '<'},
    {"", "ssl_client_key_file", "ssl_client_key", '<'},
    {"", "ssl_server_require_crl", "ssl_require_crl", '='},
    {"", "ssl_server_cert_file", "ssl_cert", '<'},
    {"", "ssl_server_key_file", "ssl_key", '<'},
    {"", "ssl_server_key_password", "ssl_key_password", '='},
    {"", "ssl_server_dh_file", "ssl_dh", '<'},
    {"", "ssl_server_ca_file", "ssl_ca", '<'},
    {"", "ssl_server_alt_cert_file", "ssl_alt_cert", '<'},
    {"", "ssl_server_alt_key_file", "ssl_alt_key", '<'},
    {"", "ssl_server_request_client_cert", "ssl_verify_client_cert", '='},
    {"", "ssl_server_cert_username_field", "ssl_cert_username_field", '='},
    {"service", "restart_request_count", "service_count", '='},
    {"service", "idle_kill_interval", "idle_kill", '='},
    {"inet_listener", "listen", "address", '='},
    {"passdb", "passdb_driver", "driver", '='},
    {"passdb", "passdb_args", "args", '='},
    {"passdb", "passdb_deny", "deny", '='},
    {"passdb", "passdb_master", "master", '='},
    {"passdb", "passdb_skip", "skip", '='},
    {"passdb", "passdb_mechanisms_filter", "mechanisms", '='},
    {"passdb", "passdb_username_filter", "username_filter", '='},
    {"passdb", "passdb_result_success", "result_success", '='},
    {"passdb", "passdb_result_failure", "result_failure", '='},
    {"passdb", "passdb_result_internalfail", "result_internalfail", '='},
    {"userdb", "userdb_driver", "driver", '='},
    {"userdb", "userdb_args", "args", '='},
    {"userdb", "userdb_skip", "skip", '='},
    {"userdb", "userdb_result_success", "result_success", '='},
    {"userdb", "userdb_result_failure", "result_failure", '='},
    {"userdb", "userdb_result_internalfail", "result_internalfail", '='},
    {"mailbox", "mailbox_auto", "auto", '='},
    {"mailbox", "mailbox_special_use", "special_use", '='},
};

// Kept as they are until fold_2_4_names().
constexpr Renamed kGathered[] = {
    {"", "dovecot_config_version", "", 0},
    {"", "dovecot_storage_version", "", 0},
    {"", "mail_driver", "", 0},
    {"", "mail_path", "", 0},
    {"", "mail_inbox_path", "", 0},
    {"", "mail_index_path", "", 0},
    {"", "mail_control_path", "", 0},
    {"", "mailbox_list_layout", "", 0},
    {"", "mail_alt_path", "", 0},
    {"", "mail_index_private_path", "", 0},
    {"", "mail_cache_path", "", 0},
    {"", "mail_volatile_path", "", 0},
    {"", "mailbox_subscriptions_filename", "", 0},
    {"", "mailbox_directory_name", "", 0},
    {"", "mailbox_root_directory_name", "", 0},
    {"", "mailbox_list_utf8", "", 0},
    {"namespace", "mail_driver", "", 0},
    {"namespace", "mail_path", "", 0},
    {"namespace", "mail_inbox_path", "", 0},
    {"namespace", "mail_index_path", "", 0},
    {"namespace", "mail_control_path", "", 0},
    {"namespace", "mailbox_list_layout", "", 0},
    {"namespace", "mail_alt_path", "", 0},
    {"namespace", "mail_index_private_path", "", 0},
    {"namespace", "mail_cache_path", "", 0},
    {"namespace", "mail_volatile_path", "", 0},
    {"namespace", "mailbox_subscriptions_filename", "", 0},
    {"namespace", "mailbox_directory_name", "", 0},
    {"namespace", "mailbox_root_directory_name", "", 0},
    {"namespace", "mailbox_list_utf8", "", 0},
    {"passdb", "passwd_file_path", "", 0},
    {"passdb", "default_password_scheme", "", 0},
    {"passdb", "passdb_default_password_scheme", "", 0},
    {"passdb", "auth_username_format", "", 0},
    {"userdb", "auth_username_format", "", 0},
    {"passdb", "pam_service_name", "", 0},
    {"userdb", "passwd_file_path", "", 0},
    {"passdb", "passdb_pam_service_name", "", 0},
    {"passdb", "passdb_pam_session", "", 0},
    {"passdb", "passdb_pam_setcred", "", 0},
    {"passdb", "passdb_pam_failure_show_msg", "", 0},
    {"passdb", "passdb_pam_max_requests", "", 0},
    {"passdb", "static_password", "", 0},
    {"passdb", "passdb_static_password", "", 0},
};

const DovecotSection::Setting* find(const DovecotSection& section, std::string_view key) {
    for (const auto& setting : section.settings) {
        if (setting.key == key) return &setting;
    }
    return nullptr;
}

std::string take(DovecotSection& section, std::string_view key) {
    std::string value;
    for (auto i = section.settings.begin(); i != section.settings.end(); ++i) {
        if (i->key == key) {
            value = i->value;
            section.settings.erase(i);
            break;
        }
    }
    return value;
}

void put(DovecotSection& section, std::string key, std::string value, const std::string& file, int line) {
    take(section, key);
    DovecotSection::Setting setting;
    setting.key = std::move(key);
    setting.value = std::move(value);
    setting.file = file;
    setting.line = line;
    section.settings.push_back(std::move(setting));
}

// What 2.4 says in settings of its own and 2.3 in one, mail_location or a namespace's location.
constexpr struct {
    std::string_view name;
    std::string_view key;
    std::string_view default_value;   // not worth a word
} kLocationParts[] = {{"mail_driver", "", ""},
                      {"mail_path", "", ""},
                      {"mail_inbox_path", "INBOX", ""},
                      {"mail_index_path", "INDEX", ""},
                      {"mail_index_private_path", "INDEXPVT", ""},
                      {"mail_cache_path", "INDEXCACHE", ""},
                      {"mail_control_path", "CONTROL", ""},
                      {"mail_volatile_path", "VOLATILEDIR", ""},
                      {"mail_alt_path", "ALT", ""},
                      {"mailbox_list_layout", "LAYOUT", ""},
                      {"mailbox_subscriptions_filename", "SUBSCRIPTIONS", "subscriptions"},
                      {"mailbox_directory_name", "DIRNAME", ""},
                      {"mailbox_root_directory_name", "MAILBOXDIR", ""},
                      {"mailbox_list_utf8", "UTF-8", "no"}};

// mail_driver = maildir, mail_path = ~/Maildir -> mail_location = maildir:~/Maildir. What `section` does not say it has from `root`.
void fold_mail_location(DovecotSection& section, const DovecotSection& root) {
    const DovecotSection::Setting* first = nullptr;
    for (const auto& part : kLocationParts) {
        if (!first) first = find(section, part.name);
    }
    if (!first) return;
    std::string file = first->file;
    int line = first->line;
    std::string driver, path, rest;
    for (const auto& part : kLocationParts) {
        const auto* setting = find(section, part.name);
        if (!setting) setting = find(root, part.name);
        if (!setting) continue;
        std::string value = translate_2_4_variables(setting->value);
        take(section, part.name);
        if (value.empty() || value == part.default_value) continue;
        if (part.name == "mail_driver") {
            driver = value;
        } else if (part.name == "mail_path") {
            path = value;
        } else if (part.key == "UTF-8") {
            bool on = false;
            if (parse_dovecot_boolean(value, on) && on) rest += ":UTF-8";
        } else {
            rest += ':' + std::string(part.key) + '=' + value;
        }
    }
    // Nothing but defaults, as doveconf -a shows them: mail_location is at its default, too.
    if (driver.empty() && path.empty() && rest.empty()) return;
    put(section, section.type == "namespace" ? "location" : "mail_location",
        (driver.empty() ? "auto" : driver) + ':' + path + rest, file, line);
}

// passdb passwd-file { passwd_file_path = F } -> driver = passwd-file, args = F
void fold_database(DovecotSection& section) {
    const std::string* named = &section.name;
    bool has_driver = find(section, "driver");
    bool versioned = section.root && find(*section.root, "dovecot_config_version");
    if (!has_driver && !named->empty()) put(section, "driver", *named, section.file, section.line);
    if (!versioned && !named->empty()) put(section, "name", *named, section.file, section.line);
    section.name.clear();
    std::string args;
    auto add = [&args](std::string text) { args += (args.empty() ? "" : " ") + text; };
    std::string scheme = take(section, "default_password_scheme");
    if (scheme.empty()) scheme = take(section, "passdb_default_password_scheme");
    if (!scheme.empty()) add("scheme=" + scheme);
    std::string format = take(section, "auth_username_format");
    if (!format.empty()) add("username_format=" + translate_2_4_variables(format));
    std::string password = take(section, "static_password");
    if (password.empty()) password = take(section, "passdb_static_password");
    if (!password.empty()) add("password=" + password);
    std::string fields;
    for (auto i = section.children.begin(); i != section.children.end();) {
        if ((*i)->type != "fields") {
            ++i;
            continue;
        }
        for (const auto& field : (*i)->settings) {
            fields += (fields.empty() ? "" : " ") + field.key + '=' + translate_2_4_variables(field.value);
        }
        i = section.children.erase(i);
    }
    const auto* driver = find(section, "driver");
    if (!fields.empty()) {
        if (driver && driver->value == "static") {
            add(fields);
        } else {
            put(section, "override_fields", fields, section.file, section.line);
        }
    }
    for (std::string_view name : {"session", "setcred", "failure_show_msg", "max_requests"}) {
        std::string value = take(section, "passdb_pam_" + std::string(name));
        if (!value.empty() && value != "no" && value != "0") add(std::string(name) + '=' + value);
    }
    std::string service = take(section, "pam_service_name");
    if (service.empty()) service = take(section, "passdb_pam_service_name");
    if (!service.empty()) add(translate_2_4_variables(service));
    std::string path = take(section, "passwd_file_path");
    if (!path.empty()) add(translate_2_4_variables(path));
    if (!args.empty()) put(section, "args", args, section.file, section.line);
}

// protocols { imap = yes  pop3 = yes } -> protocols = imap pop3; imap_id_send { name = x } -> imap_id_send = name x
void fold_lists(DovecotSection& section) {
    for (auto i = section.children.begin(); i != section.children.end();) {
        auto& child = **i;
        if (!child.list) {
            fold_lists(child);
            // What it held went to where it stands.
            bool emptied = is_dovecot_2_4_prefix(child.type) && child.children.empty() && child.settings.empty();
            i = emptied ? section.children.erase(i) : i + 1;
            continue;
        }
        std::string words;
        std::vector<std::string> places;
        for (const auto& setting : child.settings) {
            bool on = false;
            bool boolean = parse_dovecot_boolean(setting.value, on);
            if (boolean && !on) continue;
            words += (words.empty() ? "" : " ") + setting.key + (boolean ? "" : ' ' + setting.value);
            places.push_back(setting.file + ':' + std::to_string(setting.line));
            if (!boolean) places.push_back(places.back());
        }
        std::string key = child.type;
        std::string file = child.file;
        int line = child.line;
        i = section.children.erase(i);
        put(section, std::move(key), std::move(words), file, line);
        section.settings.back().places = std::move(places);
    }
}

// protocols = imaps pop3s, as 1.x had it: pop3s alone means that the other port is shut. imaps alone is imap, in Dovecot 2 too.
void fold_old_protocols(DovecotSection& root) {
    const auto* set = find(root, "protocols");
    if (!set) return;
    std::vector<std::string> words = split_list(set->value);
    auto has = [&words](std::string_view word) { return std::find(words.begin(), words.end(), word) != words.end(); };
    if (!has("imaps") && !has("pop3s") && !has("managesieve")) return;
    std::string file = set->file;
    int line = set->line;
    if (has("pop3s") && !has("pop3")) {
        for (auto& service : root.children) {
            if (service->type != "service" || service->name != "pop3-login") continue;
            for (auto& listener : service->children) {
                const auto* port = find(*listener, "port");
                if (listener->name == "pop3" && (!port || port->line == 0)) put(*listener, "port", "0", file, line);
            }
        }
    }
    std::string kept;
    std::vector<std::string> seen;
    for (std::string word : words) {
        if (word == "imaps" || word == "pop3s") word.pop_back();
        if (word == "managesieve") word = "sieve";
        if (std::find(seen.begin(), seen.end(), word) != seen.end()) continue;
        kept += (kept.empty() ? "" : " ") + word;
        seen.push_back(std::move(word));
    }
    put(root, "protocols", kept, file, line);
}

}   // namespace

bool translate_2_4_setting(std::string_view section, std::string& key, std::string& value, bool& from_file) {
    if (section.empty() && key == "ssl_server_prefer_ciphers") {
        key = "ssl_prefer_server_ciphers";
        value = value == "server" ? "yes" : "no";
        return true;
    }
    for (const auto& renamed : kRenamed) {
        if (renamed.section != section || renamed.name != key) continue;
        key = renamed.old_name;
        bool on = false;
        if (renamed.how == '<') from_file = true;
        if (renamed.how == '!' && parse_dovecot_boolean(value, on)) value = on ? "no" : "yes";
        return true;
    }
    return false;
}

bool known_2_4_setting(std::string_view section, std::string_view key) {
    return std::any_of(std::begin(kGathered), std::end(kGathered),
                       [&](const Renamed& known) { return known.section == section && known.name == key; });
}

std::string_view dovecot_2_4_spelling(std::string_view section, std::string_view old_name) {
    if ((section.empty() && old_name == "mail_location") || (section == "namespace" && old_name == "location"))
        return "mail_driver and mail_path";
    if (section == "passdb" || section == "userdb") return {};   // args: by the driver
    auto names = dovecot_2_4_names();
    for (const auto& renamed : kRenamed) {
        if (renamed.section != section || renamed.old_name != old_name) continue;
        if (!section.empty() || std::binary_search(names.begin(), names.end(), renamed.name)) return renamed.name;
    }
    return {};
}

void fold_2_4_names(DovecotSection& root) {
    bool versioned = find(root, "dovecot_config_version");
    fold_lists(root);
    fold_old_protocols(root);
    for (auto& child : root.children) {
        if (child->type == "passdb" || child->type == "userdb") fold_database(*child);
        if (child->type == "protocol" || child->type == "namespace") fold_mail_location(*child, root);
    }
    fold_mail_location(root, root);
    if (versioned) {
        for (auto& setting : root.settings) setting.value = translate_2_4_variables(setting.value);
    }
    take(root, "dovecot_config_version");
    take(root, "dovecot_storage_version");
}

std::string translate_2_4_variables(std::string_view text) {
    std::string out;
    for (;;) {
        size_t start = text.find("%{");
        out += text.substr(0, start);
        if (start == std::string_view::npos) return out;
        size_t end = text.find('}', start);
        if (end == std::string_view::npos) {
            out += text.substr(start);
            return out;
        }
        std::string_view body = text.substr(start + 2, end - start - 2);
        text.remove_prefix(end + 1);
        std::string_view name = trim(body.substr(0, body.find('|')));
        bool filtered = name.size() < body.size() && body.find('|') != std::string_view::npos;
        std::string_view filters = filtered ? body.substr(body.find('|') + 1) : std::string_view{};
        std::string modifiers;
        char letter = name == "user" ? 'u' : name == "home" ? 'h' : name == "protocol" ? 's' : 0;
        bool translated = letter != 0;
        while (translated && !filters.empty()) {
            std::string_view filter = trim(filters.substr(0, filters.find('|')));
            filters = filters.find('|') == std::string_view::npos ? std::string_view{}
                                                                  : filters.substr(filters.find('|') + 1);
            if (filter == "lower") {
                modifiers += 'L';
            } else if (filter == "upper") {
                modifiers += 'U';
            } else if (filter == "username" && letter == 'u') {
                letter = 'n';
            } else if (filter == "domain" && letter == 'u') {
                letter = 'd';
            } else {
                translated = false;
            }
        }
        if (translated) {
            out += '%' + modifiers + letter;
        } else {
            out += "%{" + std::string(body) + '}';
        }
    }
}

}   // namespace postcot::config
