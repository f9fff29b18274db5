#include "libmaildir/options.h"

#include <algorithm>

#include "libproto/config/dovecot.h"

namespace postcot::maildir {

namespace {

std::string value_of(std::string_view name, const UserVariables& variables, bool& known) {
    size_t at = variables.user.rfind('@');
    known = true;
    if (name == "u" || name == "user") return variables.user;
    if (name == "n" || name == "username") return variables.user.substr(0, at);
    if (name == "d" || name == "domain") return at == std::string::npos ? "" : variables.user.substr(at + 1);
    if (name == "h" || name == "home") return variables.home;
    known = false;
    return {};
}

// %u, %Lu (lower case), %{user}, %%. `unknown` names the first variable that is none of ours.
std::string expand(std::string_view text, const UserVariables& variables, std::string& unknown) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        if (text[++i] == '%') {
            out += '%';
            continue;
        }
        bool lower = false, upper = false;
        while (i + 1 < text.size() && (text[i] == 'L' || text[i] == 'U')) {
            (text[i] == 'L' ? lower : upper) = true;
            ++i;
        }
        std::string_view name = text.substr(i, 1);
        if (name == "{") {
            size_t end = text.find('}', i);
            if (end == std::string_view::npos) end = text.size();
            name = text.substr(i + 1, end - i - 1);
            i = end;
            if (size_t bar = name.find('|'); bar != std::string_view::npos) {   // 2.4: %{user | lower}
                std::string_view filter = name.substr(bar + 1);
                lower = lower || filter.find("lower") != std::string_view::npos;
                upper = upper || filter.find("upper") != std::string_view::npos;
                if (filter.find("username") != std::string_view::npos)
                    name = "n";
                else if (filter.find("domain") != std::string_view::npos)
                    name = "d";
                else
                    name = name.substr(0, bar);
                while (name.ends_with(' ')) name.remove_suffix(1);
            }
        }
        bool known = false;
        std::string value = value_of(name, variables, known);
        if (!known && unknown.empty()) unknown = std::string(name);
        for (char& c : value) {
            if (lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
            if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
        }
        out += value;
    }
    return out;
}

MailboxConfig mailbox_of(const config::DovecotSection& section) {
    MailboxConfig box;
    box.name = section.name;
    box.special_use = section.str("special_use");
    std::string automatic = section.str("auto");
    if (automatic == "create") box.auto_create = MailboxConfig::Auto::kCreate;
    if (automatic == "subscribe") box.auto_create = MailboxConfig::Auto::kSubscribe;
    return box;
}

}   // namespace

std::string expand_variables(std::string_view text, const UserVariables& variables) {
    std::string unknown;
    return expand(text, variables, unknown);
}

Expected<StoreOptions> store_options(const config::DovecotConf& conf, std::string_view protocol,
                                     const UserVariables& variables, std::string_view mail) {
    StoreOptions options;
    options.user = variables.user;
    options.home = variables.home;
    std::string unknown;
    std::string location = mail.empty() ? conf.str("mail_location", protocol) : std::string(mail);
    options.mail_location = expand(location, variables, unknown);
    if (options.mail_location.empty()) options.mail_location = "maildir:~/Maildir";
    bool filesystem = options.mail_location.find(":LAYOUT=fs") != std::string::npos;
    for (const config::DovecotSection* section : conf.sections("namespace")) {
        if (section->is_set("disabled") && section->boolean("disabled")) continue;
        NamespaceConfig space;
        std::string type = section->str("type");
        if (type == "shared") space.type = NamespaceConfig::Type::kShared;
        if (type == "public") space.type = NamespaceConfig::Type::kPublic;
        space.prefix = section->str("prefix");
        space.location = expand(section->str("location"), variables, unknown);
        std::string separator = section->str("separator");
        bool fs = space.location.empty() ? filesystem : space.location.find(":LAYOUT=fs") != std::string::npos;
        space.separator = separator.empty() ? (fs ? '/' : '.') : separator[0];
        space.inbox = section->boolean("inbox");
        space.hidden = section->boolean("hidden");
        space.list = section->str("list") != "no";
        space.subscriptions = section->boolean("subscriptions");
        for (const config::DovecotSection* box : section->sections("mailbox"))
            space.mailboxes.push_back(mailbox_of(*box));
        options.namespaces.push_back(std::move(space));
    }
    bool has_inbox =
        std::any_of(options.namespaces.begin(), options.namespaces.end(), [](const auto& n) { return n.inbox; });
    if (!has_inbox) {
        NamespaceConfig space;
        space.separator = filesystem ? '/' : '.';
        options.namespaces.insert(options.namespaces.begin(), std::move(space));
    }
    if (!unknown.empty()) return fail(EINVAL, "SERVERBUG", "mail_location: unknown variable %" + unknown);
    options.fsync_on_save = conf.str("mail_fsync", protocol) != "never";
    options.copy_with_hardlinks = conf.boolean("maildir_copy_with_hardlinks", protocol);
    return options;
}

}   // namespace postcot::maildir
