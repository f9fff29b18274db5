#include "libproto/config/dovecot_not_served.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "libproto/config/dovecot_names.h"
#include "libproto/config/dovecot_parser.h"
#include "libproto/config/dovecot_settings.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

using Lines = std::vector<std::string>;

std::string at(const std::string& file, int line) { return file + ':' + std::to_string(line) + ": "; }

std::string at(const DovecotSection::Setting& set, size_t word) {
    return word < set.places.size() ? set.places[word] + ": " : at(set.file, set.line);
}

const DovecotSection::Setting* find_set(const DovecotSection& section, std::string_view key) {
    for (const auto& setting : section.settings) {
        if (setting.key == key && setting.line > 0) return &setting;
    }
    return nullptr;
}

std::string titled(const DovecotSection& section) {
    bool quotes = section.name.find(' ') != std::string::npos;
    return section.type + (section.name.empty() ? "" : quotes ? " \"" + section.name + '"' : ' ' + section.name);
}

// What a reader of the log should know of a plug-in, of its settings (2.3: plugin { quota_rule }, 2.4: quota_storage_size) and of its sections.
std::string consequence(std::string_view name) {
    static constexpr struct {
        std::string_view beginning;
        std::string_view text;
    } kKnown[] = {{"quota", "no quota is kept"},
                  {"imap_quota", "GETQUOTA is not there"},
                  {"sieve", "no Sieve script runs"},
                  {"imap_sieve", "no Sieve script runs"},
                  {"imapsieve", "no Sieve script runs"},
                  {"acl", "no access list is looked at"},
                  {"imap_acl", "no access list is looked at"},
                  {"mail_crypt", "mail is neither encrypted nor decrypted"},
                  {"crypt", "mail is neither encrypted nor decrypted"},
                  {"zlib", "mail is neither compressed nor uncompressed"},
                  {"mail_compress", "mail is neither compressed nor uncompressed"},
                  {"fts", "searches read the mail itself"},
                  {"lazy_expunge", "what is expunged is gone"},
                  {"virtual", "there are no virtual mailboxes"},
                  {"ssl_protocols", "ssl_min_protocol counts"},
                  {"fsync_disable", "mail_fsync counts"},
                  {"master", "master users cannot log in"}};
    for (const auto& known : kKnown) {
        if (name.starts_with(known.beginning)) return std::string(known.text);
    }
    return "it has no effect";
}

// ---- services

enum class Served {
    kYes,
    kByOthers,
    kNo
};   // kByOthers: Dovecot's parts among each other, whose work is done in another way

Served served(std::string_view service) {
    if (is_one_of(service, "imap imap-login pop3 pop3-login auth")) return Served::kYes;
    if (is_one_of(service,
                  "anvil auth-worker config dict dict-async dict-expire dns-client indexer indexer-worker ipc log "
                  "stats old-stats"))
        return Served::kByOthers;
    return Served::kNo;
}

// Set to something else than Dovecot has by itself: doveconf -a names every setting of every service.
bool changed(const DovecotSection& section, const DovecotSection::Setting& setting) {
    if (setting.line == 0) return false;
    if (setting.has_default) {
        std::string value = setting.default_value;
        if (value.starts_with("$default_") && section.root)
            value = section.root->str(std::string_view(value).substr(1));
        return setting.value != value && setting.value != setting.default_value;
    }
    const auto* parameter = find_dovecot_setting(section.type, setting.key);
    return !parameter || setting.value != parameter->default_value;
}

bool anything_changed(const DovecotSection& section) {
    return std::any_of(section.settings.begin(), section.settings.end(),
                       [&](const auto& setting) { return changed(section, setting); }) ||
           std::any_of(section.children.begin(), section.children.end(),
                       [](const auto& child) { return anything_changed(*child); });
}

// Port 0 and mode 0 switch a listener off.
bool switched_off(const DovecotSection& listener) {
    return listener.integer(listener.type == "inet_listener" ? "port" : "mode") == 0;
}

std::vector<const DovecotSection*> listeners_added(const DovecotSection& service) {
    std::vector<const DovecotSection*> out;
    for (const auto& child : service.children) {
        if (child->line > 0 && (!child->built_in || anything_changed(*child)) && !switched_off(*child))
            out.push_back(child.get());
    }
    return out;
}

// The listener is of a kind that this service has here.
bool listens(std::string_view service, const DovecotSection& listener) {
    return service == "auth" ? listener.type == "unix_listener"
                             : service.ends_with("-login") && listener.type == "inet_listener";
}

// "executable = imap postlogin": a program that would run between login and session.
void executable(const DovecotSection& service, Lines& out) {
    const auto* set = find_set(service, "executable");
    if (!set) return;
    auto words = split_list(set->value);
    std::string program = words.empty() ? std::string() : words[0].substr(words[0].rfind('/') + 1);
    if (words.size() == 1 && program == service.name) return;
    out.push_back(at(set->file, set->line) + titled(service) + ": executable = " + set->value +
                  " is not served: no other program runs for a login");
}

bool protocol_wanted(const DovecotSection& root, std::string_view service) {
    auto name =
        service.substr(0, service.rfind("-login") == std::string_view::npos ? service.size() : service.size() - 6);
    auto protocols = split_list(root.str("protocols"));
    return std::any_of(protocols.begin(), protocols.end(),
                       [&](const auto& word) { return word == name || (word == "sieve" && name == "managesieve"); });
}

void service(const DovecotSection& root, const DovecotSection& section, Lines& out) {
    if (section.line == 0) return;
    Served how = served(section.name);
    auto listening = listeners_added(section);
    if (how == Served::kNo) {
        bool asked = anything_changed(section) || !listening.empty() ||
                     (protocol_wanted(root, section.name) && !section.children.empty());
        if (!asked) return;
        std::string names;
        for (const auto* listener : listening)
            names += (names.empty() ? "" : ", ") + (listener->name.empty() ? listener->type : listener->name);
        std::string instead = section.name == "lmtp" ? "; LMTP is served by lines with lmtpd in master.cf" : "";
        out.push_back(at(section.file, section.line) + titled(section) + " is not served: " +
                      (names.empty() ? "it has no effect" : "nobody listens on " + names) + instead);
        return;
    }
    if (how == Served::kYes) executable(section, out);
    for (const auto* listener : listening) {
        if (how == Served::kYes && listens(section.name, *listener)) continue;
        out.push_back(at(listener->file, listener->line) + titled(section) + ": " + titled(*listener) +
                      " is not served: nobody listens there");
    }
}

// ---- everything else

void mechanisms(const DovecotSection& root, Lines& out) {
    const auto* set = find_set(root, "auth_mechanisms");
    if (!set) return;
    size_t number = 0;
    for (const auto& word : split_list(set->value)) {
        std::string place = at(*set, number++);
        if (is_one_of(word, kDovecotMechanisms) && !is_one_of(word, kServedMechanisms))
            out.push_back(place + "auth_mechanisms: " + word + " is not supported: nobody can log in with it");
    }
}

void protocols(const DovecotSection& root, Lines& out) {
    const auto* set = find_set(root, "protocols");
    if (!set) return;
    size_t number = 0;
    for (const auto& word : split_list(set->value)) {
        std::string place = at(*set, number++);
        if (is_one_of(word, "imap pop3 none imaps pop3s") || word.starts_with('$')) continue;
        out.push_back(place + "protocols: " + word + " is not served" +
                      (word == "lmtp"    ? " here: LMTP is served by lines with lmtpd in master.cf"
                       : word == "sieve" ? ": nobody answers ManageSieve, and no Sieve script runs"
                                         : ": nobody listens for it"));
    }
}

void protocol_block(const DovecotSection& section, Lines& out) {
    std::string names;
    for (const auto& setting : section.settings) names += ' ' + setting.key;
    for (const auto& child : section.children) names += ' ' + titled(*child);
    if (names.empty()) return;
    out.push_back(at(section.file, section.line) + titled(section) + " is not served: no effect have" + names);
}

void setting_line(const DovecotSection& section, const DovecotSection::Setting& setting, Lines& out) {
    std::string_view where = dovecot_table_section(section.type);
    std::string name = where.empty() ? setting.key : section.type + " { " + setting.key + " }";
    auto say = [&](const std::string& what, const std::string& then) {
        out.push_back(at(setting.file, setting.line) + what + " is not supported: " + then);
    };
    if (section.type == "plugin") return say("plugin setting " + setting.key, consequence(setting.key));
    const auto* parameter = find_dovecot_setting(where, setting.key);
    if (!parameter) {
        if (familiar_setting(where, section.name, setting.key) != Familiar::kYes ||
            known_2_4_setting(where, setting.key))
            return;
        return say("setting " + name, consequence(setting.key));
    }
    if (parameter->status != Status::kUnsupported || setting.value == parameter->default_value) return;
    if (setting.key == "mail_plugins") {
        size_t number = 0;
        for (const auto& plugin : split_list(setting.value)) {
            std::string place = at(setting, number++);
            if (!plugin.starts_with('$'))
                out.push_back(place + "plugin " + plugin + " is not supported: " + consequence(plugin));
        }
        return;
    }
    bool on = false;
    if (parameter->kind == Kind::kBoolean && parse_dovecot_boolean(setting.value, on) &&
        on == (parameter->default_value == "yes"))
        return;
    say("setting " + name, consequence(setting.key));
}

// local_name NAME { ssl_cert ssl_key }: the certificate for a name that clients ask for. Nothing else differs by name.
void local_name(const DovecotSection& section, Lines& out) {
    for (const auto& setting : section.settings) {
        if (setting.key == "ssl_cert" || setting.key == "ssl_key") continue;
        out.push_back(at(setting.file, setting.line) + "setting " + titled(section) + " { " + setting.key +
                      " } is not supported: it has no effect");
    }
    for (const auto& child : section.children)
        out.push_back(at(child->file, child->line) + "section " + titled(section) + " { " + titled(*child) +
                      " } is not supported: it has no effect");
}

void section_lines(const DovecotSection& root, const DovecotSection& section, Lines& out) {
    bool at_top = std::any_of(root.children.begin(), root.children.end(),
                              [&](const auto& child) { return child.get() == &section; });
    if (section.type == "local_name" && at_top) return local_name(section, out);
    if (!section.served || (is_dovecot_filter(section.type) && section.type != "protocol")) {
        bool empty = section.settings.empty() && section.children.empty() && (section.name.empty() || section.served);
        if (!empty)
            out.push_back(at(section.file, section.line) + "section " + titled(section) +
                          " is not supported: " + consequence(section.type));
        return;
    }
    if (section.type == "protocol" && !is_one_of(section.name, "imap pop3") && !section.name.starts_with('!'))
        return protocol_block(section, out);
    if (section.type == "service") service(root, section, out);
    if (section.type == "namespace" && section.str("type") == "shared")
        out.push_back(at(section.file, section.line) + titled(section) +
                      " { type = shared } is not supported: other users' mailboxes are not there");
    for (const auto& setting : section.settings) {
        if (setting.line > 0) setting_line(section, setting, out);
    }
    for (const auto& child : section.children) section_lines(root, *child, out);
}

}   // namespace

std::vector<std::string> dovecot_not_served(const DovecotSection& root) {
    Lines out;
    protocols(root, out);
    mechanisms(root, out);
    section_lines(root, root, out);
    return out;
}

Expected<void> check_dovecot_protocols(const DovecotSection& root) {
    const auto* set = find_set(root, "protocols");
    if (!set) return {};
    for (const auto& word : split_list(set->value)) {
        if (word.starts_with('$') ||
            is_one_of(word, "imap imaps pop3 pop3s lmtp sieve managesieve submission imap-urlauth doveadm none"))
            continue;
        auto services = root.sections("service");
        if (std::any_of(services.begin(), services.end(),
                        [&](const auto* service) { return service->str("protocol") == word; }))
            continue;
        return fail(EINVAL, "Error in configuration file " + set->file + " line " + std::to_string(set->line) +
                                ": protocols: Unknown protocol: " + word);
    }
    return {};
}

}   // namespace postcot::config
