#include "libmaildir/options.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "libmaildir/layout.h"
#include "libproto/config/dovecot.h"
#include "libproto/config/variables.h"

namespace postcot::maildir {

namespace {

// What a location may be made of. A variable that is none of these is an error.
std::optional<std::string> value_of(std::string_view name, std::string_view protocol, const UserVariables& variables) {
    if (name == "user" || name == "login_user" || name == "orig_user" || name == "auth_user") return variables.user;
    if (name == "home") return variables.home;
    if (name == "service") return std::string(protocol);
    if (name == "uid") return std::to_string(getuid());
    if (name == "gid") return std::to_string(getgid());
    if (name == "pid") return std::to_string(getpid());
    if (name == "hostname") {
        char host[256] = {};
        return gethostname(host, sizeof host - 1) == 0 ? std::string(host) : std::string();
    }
    return std::nullopt;
}

Expected<std::string> expand(std::string_view text, std::string_view protocol, const UserVariables& variables) {
    return config::expand_variables(text, [&](std::string_view name) { return value_of(name, protocol, variables); });
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

// RFC 5530 §3: the user's mail is there and cannot be served now; a client keeps what it has.
Error refused(const std::string& what, const std::string& why) {
    return Error{EINVAL, "UNAVAILABLE", what + ": " + why};
}

Expected<void> check_setting(const config::DovecotSection::Setting& setting, std::string_view protocol) {
    // No user is known yet: any stands for all, since a location's kind and suffixes do not depend on whose it is.
    UserVariables somebody{"user@example.com", "/home/user"};
    auto expanded = expand(setting.value, protocol, somebody);
    std::string why;
    if (!expanded) {
        why = expanded.error().text;
    } else if (expanded->empty()) {
        return {};
    } else if (auto location = Location::parse(*expanded, somebody.home); !location) {
        why = location.error().text;
    }
    if (why.empty()) return {};
    return fail(EINVAL, "",
                "Error in configuration file " + setting.file + " line " + std::to_string(setting.line) + ": " +
                    setting.key + ": " + why);
}

}   // namespace

Expected<void> check_locations(const config::DovecotConf& conf, std::string_view protocol) {
    auto check = [&](const config::DovecotSection& section, std::string_view key) -> Expected<void> {
        for (const auto& setting : section.settings) {
            if (setting.key != key || setting.line == 0) continue;
            if (auto good = check_setting(setting, protocol); !good) return good;
        }
        return {};
    };
    if (auto good = check(conf.root(), "mail_location"); !good) return good;
    for (const auto& child : conf.root().children) {
        if (child->type != "protocol" || child->name != protocol) continue;
        if (auto good = check(*child, "mail_location"); !good) return good;
    }
    for (const config::DovecotSection* space : conf.sections("namespace")) {
        if (space->is_set("disabled") && space->boolean("disabled")) continue;
        if (auto good = check(*space, "location"); !good) return good;
    }
    return {};
}

Expected<StoreOptions> store_options(const config::DovecotConf& conf, std::string_view protocol,
                                     const UserVariables& variables, std::string_view mail) {
    StoreOptions options;
    options.user = variables.user;
    options.home = variables.home;
    std::string location = mail.empty() ? conf.str("mail_location", protocol) : std::string(mail);
    auto expanded = expand(location, protocol, variables);
    if (!expanded) return fail(refused(mail.empty() ? "mail_location" : "userdb field mail", expanded.error().text));
    options.mail_location = std::move(*expanded);
    if (options.mail_location.empty()) options.mail_location = "maildir:~/Maildir";
    bool filesystem = options.mail_location.find(":LAYOUT=fs") != std::string::npos;
    for (const config::DovecotSection* section : conf.sections("namespace")) {
        if (section->is_set("disabled") && section->boolean("disabled")) continue;
        NamespaceConfig space;
        std::string type = section->str("type");
        if (type == "shared") space.type = NamespaceConfig::Type::kShared;
        if (type == "public") space.type = NamespaceConfig::Type::kPublic;
        space.prefix = section->str("prefix");
        auto place = expand(section->str("location"), protocol, variables);
        if (!place) return fail(refused("namespace " + section->name + ": location", place.error().text));
        space.location = std::move(*place);
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
    auto served = Location::parse(options.mail_location, options.home);
    if (!served) return fail(refused(mail.empty() ? "mail_location" : "userdb field mail", served.error().text));
    options.fsync_on_save = conf.str("mail_fsync", protocol) != "never";
    options.copy_with_hardlinks = conf.boolean("maildir_copy_with_hardlinks", protocol);
    return options;
}

}   // namespace postcot::maildir
