#include "queued/local/local.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libproto/runtime/log.h"
#include "libproto/runtime/sandbox.h"
#include "queued/local/alias_grammar.h"
#include "queued/local/headers.h"
#include "queued/local/macros.h"
#include "queued/local/results.h"
#include "queued/local/user.h"

namespace postcot::queued {

namespace {

constexpr uint32_t kMaxLevel = 100;   // aliases inside aliases

struct Passwd {
    std::string name, home, shell;
    uint32_t uid = 0, gid = 0;
};

// nullopt: no such user. Errors (a directory server that does not answer) are temporary.
Expected<std::optional<Passwd>> find_user(const std::string& name) {
    std::string buffer(16384, '\0');
    passwd entry{};
    passwd* found = nullptr;
    int error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error != 0 && error != ENOENT && error != ESRCH)
        return fail_errno(error, "error looking up passwd info for " + name);
    if (!found) return std::optional<Passwd>();
    Passwd out;
    out.name = found->pw_name;
    out.home = found->pw_dir;
    out.shell = found->pw_shell;
    out.uid = found->pw_uid;
    out.gid = found->pw_gid;
    return std::optional<Passwd>(std::move(out));
}

// "hash:/etc/aliases" -> the file.
std::string source_of(const std::string& spec) {
    size_t colon = spec.find(':');
    std::string type = spec.substr(0, colon);
    if (colon == std::string::npos || spec.size() < colon + 2 || spec[colon + 1] != '/') return {};
    for (const char* file_type : {"hash", "btree", "lmdb", "texthash", "cdb", "dbm", "regexp", "pcre", "cidr"})
        if (type == file_type) return spec.substr(colon + 1);
    return {};
}

}   // namespace

Expected<std::unique_ptr<LocalUsers>> LocalUsers::open(const config::MainCf& main) {
    auto out = std::unique_ptr<LocalUsers>(new LocalUsers());
    out->main_ = main;
    for (const auto& spec : main.list("alias_maps")) {
        auto maps = table::Maps::open(spec, main, "alias_maps");
        if (!maps) return fail(maps.error());
        AliasTable table;
        table.source = source_of(spec);
        table.maps = std::move(*maps);
        out->aliases_.push_back(std::move(table));
    }
    auto mydestination = table::MatchList::open(main.str("mydestination"), main, "mydestination");
    if (!mydestination) return fail(mydestination.error());
    out->mydestination_ = std::move(*mydestination);
    auto fallback = table::Maps::open(main.str("fallback_transport_maps"), main, "fallback_transport_maps");
    if (!fallback) return fail(fallback.error());
    out->fallback_transports_ = std::move(*fallback);
    out->delimiter_ = main.str("recipient_delimiter");
    out->myorigin_ = main.str("myorigin");
    out->owner_request_special_ = main.boolean("owner_request_special");
    if (auto nobody = find_account(main.str("default_privs"))) {
        out->default_uid_ = nobody->uid;
        out->default_gid_ = nobody->gid;
    }
    struct stat st {};
    // Debian: root:mail 2775.
    if (stat(main.str("mail_spool_directory").c_str(), &st) == 0 && (st.st_mode & S_IWGRP)) out->spool_gid_ = st.st_gid;
    return out;
}

bool LocalUsers::is_local(const std::string& domain) const {
    if (domain.empty()) return true;
    auto matched = mydestination_.matches_domain(domain);
    return matched && *matched;
}

Decision LocalUsers::with_rights(Action action) const {
    ChildRights rights;
    rights.runs_programs = action.kind == Action::Kind::kCommand || action.kind == Action::Kind::kPipe;
    if (!running_as_root()) {
        action.uid = getuid();
        action.gid = getgid();
    } else if (rights.runs_programs && action.uid == 0) {
        // Programs never run as root.
        action.uid = default_uid_;
        action.gid = default_gid_;
    }
    rights.uid = action.uid;
    rights.gid = action.gid;
    if (action.kind == Action::Kind::kUser) rights.spool_gid = spool_gid_;
    return carried_out_by(rights, std::move(action));
}

Expected<LocalUsers::Alias> LocalUsers::find_alias(const std::string& name) const {
    for (const auto& table : aliases_) {
        auto found = table.maps.find(name);
        if (!found) return fail(found.error());
        if (*found) {
            Alias alias;
            alias.value = **found;
            alias.table = &table;
            return alias;
        }
    }
    return Alias{};
}

std::optional<Decision> LocalUsers::to_user(const std::string& user, Action action) const {
    auto found = find_user(user);
    if (!found) return decided(deferred("4.3.0", found.error().text));
    if (!*found) return std::nullopt;
    const Passwd& entry = **found;
    action.kind = Action::Kind::kUser;
    action.user = entry.name;
    action.home = entry.home;
    action.shell = entry.shell;
    action.uid = entry.uid;
    action.gid = entry.gid;
    return with_rights(std::move(action));
}

Decision LocalUsers::from_alias(const ipc::Deliver& deliver, const std::string& name, const Alias& alias,
                                Action from) const {
    from.from_alias = true;
    from.uid = default_uid_;
    from.gid = default_gid_;
    from.user.clear();
    from.home.clear();
    from.shell.clear();
    struct stat st {};
    if (alias.table && !alias.table->source.empty() && stat(alias.table->source.c_str(), &st) == 0 && st.st_uid != 0) {
        // aliases(5): commands and files get the rights of the file's owner, unless that is root.
        from.uid = st.st_uid;
        from.gid = st.st_gid;
    }
    // aliases(5) owner-name: errors go there.
    if (lower_case(name).compare(0, 6, "owner-") != 0) {
        std::string owner = "owner-" + name;
        auto found = find_alias(owner);
        if (!found) return decided(deferred("4.3.0", "alias database unavailable"));
        if (found->table) {
            from.new_sender = owner + "@" + myorigin_;
            if (main_.boolean("expand_owner_alias")) {
                auto owners = parse_destinations(found->value);
                if (owners.size() == 1 && owners[0].kind == AliasTarget::Kind::kAddress) {
                    from.new_sender = owners[0].value;
                    if (from.new_sender.find('@') == std::string::npos) from.new_sender += "@" + myorigin_;
                }
            }
        }
    }
    auto destinations = parse_destinations(alias.value);
    if (destinations.empty()) return decided(bounced("5.3.5", fmt::format("alias {} has no destination", name)));
    auto result = expand(destinations, deliver, from, "alias", main_);
    if (result.outcome != ipc::Outcome::kExpanded) return decided(std::move(result));
    for (auto& expansion : result.expansions) {
        // A local name stays in this message and is looked up again; anything else becomes a message of its own.
        if (!expansion.context.empty() || !from.new_sender.empty()) continue;
        SplitAddress address = split_address(expansion.address);
        if (!is_local(address.domain)) continue;
        Action again;
        again.kind = Action::Kind::kAddress;
        again.level = from.level + 1;
        again.local = lower_case(address.local);
        again.delivered_to = from.delivered_to;
        expansion.context = again.encode();
    }
    return decided(std::move(result));
}

Decision LocalUsers::unknown(const ipc::Deliver& deliver, const ipc::DeliverRecipient& recipient,
                             const Action& from) const {
    const std::string& address = recipient.recipient.address;
    const auto user = split_local(lower_case(split_address(address).local), delimiter_, owner_request_special_).user;
    if (auto passed = to_mailbox_transport(deliver, user, main_)) return decided(std::move(*passed));
    std::string transport;
    if (!fallback_transports_.empty()) {
        auto found = fallback_transports_.find(lower_case(address));
        if (!found) return decided(deferred("4.3.0", "fallback_transport_maps lookup failure"));
        if (*found) transport = **found;
    }
    if (transport.empty()) transport = main_.str("fallback_transport");
    if (!transport.empty()) {
        ipc::RecipientResult result;
        result.outcome = ipc::Outcome::kExpanded;
        result.dsn = "2.0.0";
        result.text = "passed on to " + transport;
        ipc::Expansion expansion;
        expansion.address = address;
        expansion.transport = std::move(transport);
        result.expansions.push_back(std::move(expansion));
        return decided(std::move(result));
    }
    std::string luser = main_.str("luser_relay");
    if (!luser.empty()) {
        SplitAddress split = split_address(address);
        Macros macros;
        macros["user"] = split_local(split.local, delimiter_, owner_request_special_).user;
        macros["local"] = split.local;
        macros["domain"] = split.domain;
        macros["recipient"] = address;
        macros["extension"] = from.extension;
        macros["recipient_delimiter"] = from.extension.empty() ? "" : delimiter_;
        Alias alias;
        alias.value = expand_macros(luser, macros, "");
        if (from.level >= kMaxLevel) return decided(bounced("5.4.6", "possible alias database loop for " + address));
        return from_alias(deliver, split.local, alias, from);
    }
    return decided(bounced("5.1.1", fmt::format("unknown user: \"{}\"", lower_case(split_address(address).local))));
}

Decision LocalUsers::by_name(const ipc::Deliver& deliver, const ipc::DeliverRecipient& recipient,
                             const Action& from) const {
    const std::string& address = recipient.recipient.address;
    if (from.level > kMaxLevel) return decided(bounced("5.4.6", "possible alias database loop for " + address));
    std::string local = lower_case(split_address(address).local);
    SplitLocal split = split_local(local, delimiter_, owner_request_special_);

    Action action = from;
    action.local = local;
    action.extension = split.extension;
    // What an alias names is delivered as the alias's mail.
    if (action.delivered_to.empty()) action.delivered_to = address;
    if (from.kind != Action::Kind::kExact) {
        auto alias = find_alias(local);
        std::string name = local;
        if (alias && !alias->table && split.delimiter != 0) {
            alias = find_alias(split.user);
            name = split.user;
        }
        if (!alias) return decided(deferred("4.3.0", "alias database unavailable"));
        if (alias->table) return from_alias(deliver, name, *alias, std::move(action));
    } else {
        action.may_forward = false;
    }
    if (auto user = to_user(local, action)) return *user;
    if (split.delimiter != 0)
        if (auto user = to_user(split.user, action)) return *user;
    return unknown(deliver, recipient, action);
}

Decision LocalUsers::decide(const ipc::Deliver& deliver, const ipc::DeliverRecipient& recipient) const {
    const std::string& address = recipient.recipient.address;
    if (recipient.context.empty()) {
        if (has_delivered_to(deliver.head, address))
            return decided(bounced("5.4.6", "mail forwarding loop for " + address));
        return by_name(deliver, recipient, Action{});
    }
    auto action = Action::decode(recipient.context);
    if (!action) return decided(deferred("4.3.0", action.error().text));
    switch (action->kind) {
        case Action::Kind::kAddress:
        case Action::Kind::kExact: return by_name(deliver, recipient, *action);
        case Action::Kind::kInclude: {
            struct stat st {};
            if (stat(action->path.c_str(), &st) == 0) {
                if (st.st_uid != 0) {
                    action->uid = st.st_uid;
                    action->gid = st.st_gid;
                } else if (action->from_alias) {
                    // Root's own list, named by an alias: what is in it gets default_privs, but root may be the only one who reads it.
                    return decided(expand_include(deliver, *action, main_));
                }
            }
            return with_rights(std::move(*action));
        }
        case Action::Kind::kMailbox:
        case Action::Kind::kCommand: return with_rights(std::move(*action));
        default: return decided(deferred("4.3.0", "malformed delivery context"));
    }
}

Decision LocalUsers::redispatched(const ipc::RecipientResult& result, const ChildRights& rights) const {
    auto action = Action::decode(result.expansions.front().context);
    if (!action || action->kind != Action::Kind::kCommand)
        return decided(deferred("4.3.0", "malformed delivery context"));
    action->uid = rights.uid;
    action->gid = rights.gid;
    return with_rights(std::move(*action));
}

void LocalUsers::restrict_to(const ChildRights& rights, ipc::RecipientResult& result) const {
    for (auto& expansion : result.expansions) {
        if (expansion.context.empty()) continue;
        auto action = Action::decode(expansion.context);
        if (!action || action->kind == Action::Kind::kPipe || action->kind == Action::Kind::kUser) {
            expansion.context.clear();
            continue;
        }
        action->uid = rights.uid;
        action->gid = rights.gid;
        expansion.context = action->encode();
    }
}

}   // namespace postcot::queued
