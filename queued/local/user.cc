#include "queued/local/user.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/log.h"
#include "libproto/table/table.h"
#include "queued/local/macros.h"
#include "queued/local/results.h"

namespace postcot::queued {

namespace {

constexpr std::string_view kRedispatch = "redispatch";
constexpr size_t kMaxForward = 1 << 20;

// nullopt: there is none, or it is not to be trusted (logged).
std::optional<std::string> read_forward(const std::string& path, uint32_t owner, bool must_exist) {
    struct stat st {};
    if (lstat(path.c_str(), &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            log::warning("error looking up forward file {}: {}", path, std::strerror(errno));
        else if (must_exist)
            log::warning("open include file {}: {}", path, std::strerror(errno));
        return std::nullopt;
    }
    if (S_ISLNK(st.st_mode) && stat(path.c_str(), &st) != 0) return std::nullopt;
    const char* wrong = nullptr;
    if (!S_ISREG(st.st_mode))
        wrong = "not a regular file";
    else if (st.st_uid != 0 && st.st_uid != owner)
        wrong = "has bad owner";
    else if (st.st_mode & S_IWOTH)
        wrong = "is world writable";
    if (wrong) {
        log::warning("file {} {}", path, wrong);
        return std::nullopt;
    }
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        log::warning("cannot open file {}: {}", path, std::strerror(errno));
        return std::nullopt;
    }
    std::string text;
    char buffer[8192];
    for (;;) {
        ssize_t n = read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(buffer, static_cast<size_t>(n));
        if (text.size() > kMaxForward) {
            log::warning("file {} is larger than {} octets: the rest is not read", path, kMaxForward);
            break;
        }
    }
    return text;
}

bool lists(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

Macros user_macros(const ipc::Deliver& deliver, const Action& action, const config::MainCf& main) {
    const std::string& recipient = deliver.recipients.front().recipient.address;
    Macros macros;
    macros["user"] = action.user;
    macros["home"] = action.home;
    macros["shell"] = action.shell;
    macros["recipient"] = recipient;
    macros["local"] = action.local;
    macros["domain"] = split_address(recipient).domain;
    macros["extension"] = action.extension;
    macros["recipient_delimiter"] = action.extension.empty() ? "" : main.str("recipient_delimiter");
    return macros;
}

// What a table keyed by user names has; a table that cannot be asked is not one that does not know.
Expected<std::string> from_maps(const config::MainCf& main, const char* parameter, const std::string& user) {
    auto maps = table::Maps::open(main.str(parameter), main, parameter);
    if (!maps) return fail(std::move(maps.error()));
    auto found = maps->find(user);
    if (!found) return fail(std::move(found.error()));
    return *found ? std::move(**found) : std::string();
}

// "~/file" is in the home of whoever is asked for, "~user/file" in that user's. Empty: there is none.
std::string in_home(const std::string& path, const std::string& home) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash == 1) return home.empty() ? home : home + path.substr(slash);
    std::string buffer(16384, '\0');
    passwd entry{};
    passwd* found = nullptr;
    (void)getpwnam_r(path.substr(1, slash - 1).c_str(), &entry, buffer.data(), buffer.size(), &found);
    return found ? found->pw_dir + path.substr(slash) : std::string();
}

ipc::RecipientResult to_transport(const ipc::Deliver& deliver, std::string transport) {
    ipc::RecipientResult result;
    result.outcome = ipc::Outcome::kExpanded;
    result.dsn = "2.0.0";
    result.text = "passed on to " + transport;
    ipc::Expansion expansion;
    expansion.address = deliver.recipients.front().recipient.address;
    expansion.transport = std::move(transport);
    result.expansions.push_back(std::move(expansion));
    return result;
}

UserDelivery mailbox_of(const ipc::Deliver& deliver, const Action& action, const config::MainCf& main) {
    UserDelivery out;
    if (auto passed = to_mailbox_transport(deliver, action.user, main)) {
        out.result = std::move(*passed);
        return out;
    }
    auto command = from_maps(main, "mailbox_command_maps", action.user);
    if (!command) {
        log::warning("{}", command.error().text);
        out.result = deferred("4.3.0", "mailbox_command_maps lookup failure");
        return out;
    }
    if (command->empty()) *command = main.str("mailbox_command");
    if (!command->empty()) {
        Action run = action;
        run.kind = Action::Kind::kCommand;
        run.path = std::move(*command);
        out.result = redispatch(run);
        return out;
    }
    std::string home = main.str("home_mailbox");
    if (!home.empty()) {
        out.mailbox = action.home + "/" + home;
    } else {
        out.mailbox = main.str("mail_spool_directory");
        bool maildir = !out.mailbox.empty() && out.mailbox.back() == '/';
        if (!maildir) out.mailbox += '/';
        out.mailbox += action.user;
        if (maildir) out.mailbox += '/';
    }
    return out;
}

}   // namespace

bool is_redispatch(const ipc::RecipientResult& result) {
    return result.outcome == ipc::Outcome::kExpanded && result.text == kRedispatch && result.expansions.size() == 1;
}

ipc::RecipientResult redispatch(const Action& action) {
    ipc::RecipientResult result;
    result.outcome = ipc::Outcome::kExpanded;
    result.text = kRedispatch;
    ipc::Expansion expansion;
    expansion.context = action.encode();
    result.expansions.push_back(std::move(expansion));
    return result;
}

ipc::RecipientResult expand(const std::vector<AliasTarget>& destinations, const ipc::Deliver& deliver,
                            const Action& from, std::string_view word, const config::MainCf& main) {
    const std::string& recipient = deliver.recipients.front().recipient.address;
    bool commands = lists(main.list("allow_mail_to_commands"), word);
    bool files = lists(main.list("allow_mail_to_files"), word);
    ipc::RecipientResult result;
    result.outcome = ipc::Outcome::kExpanded;
    result.dsn = "2.0.0";
    result.delivered_to = from.delivered_to;
    result.new_sender = from.new_sender;
    for (const auto& destination : destinations) {
        Action action = from;
        action.level = from.level + 1;
        ipc::Expansion expansion;
        expansion.address = recipient;
        switch (destination.kind) {
            case AliasTarget::Kind::kAddress:
                expansion.address = destination.value;
                if (destination.value.find('@') == std::string::npos) expansion.address += "@" + main.str("myorigin");
                break;
            case AliasTarget::Kind::kExact:
                action.kind = Action::Kind::kExact;
                action.local = destination.value;
                expansion.address = destination.value + "@" + split_address(recipient).domain;
                expansion.context = action.encode();
                break;
            case AliasTarget::Kind::kCommand:
                if (!commands) return bounced("5.7.1", "mail to command is restricted");
                action.kind = Action::Kind::kCommand;
                action.path = destination.value;
                expansion.context = action.encode();
                break;
            case AliasTarget::Kind::kFile:
            case AliasTarget::Kind::kHomeFile:
                if (!files) return bounced("5.7.1", "mail to file is restricted");
                action.kind = Action::Kind::kMailbox;
                action.path = destination.kind == AliasTarget::Kind::kFile ? destination.value
                                                                           : in_home(destination.value, from.home);
                if (action.path.empty()) {
                    log::warning("unknown home directory for: {}", destination.value);
                    return bounced("5.3.5", "mail system configuration error");
                }
                expansion.context = action.encode();
                break;
            case AliasTarget::Kind::kInclude:
                action.kind = Action::Kind::kInclude;
                action.path = destination.value;
                expansion.context = action.encode();
                break;
        }
        if (std::none_of(result.expansions.begin(), result.expansions.end(), [&](const ipc::Expansion& known) {
                return known.address == expansion.address && known.context == expansion.context;
            }))
            result.expansions.push_back(std::move(expansion));
    }
    return result;
}

std::optional<ipc::RecipientResult> to_mailbox_transport(const ipc::Deliver& deliver, const std::string& user,
                                                         const config::MainCf& main) {
    auto transport = from_maps(main, "mailbox_transport_maps", user);
    if (!transport) {
        log::warning("{}", transport.error().text);
        return deferred("4.3.0", "mailbox_transport_maps lookup failure");
    }
    if (transport->empty()) *transport = main.str("mailbox_transport");
    if (transport->empty()) return std::nullopt;
    return to_transport(deliver, std::move(*transport));
}

UserDelivery deliver_user(const ipc::Deliver& deliver, int, const Action& action, const config::MainCf& main) {
    if (!action.may_forward) return mailbox_of(deliver, action, main);
    Macros macros = user_macros(deliver, action, main);
    for (const auto& pattern : main.list("forward_path")) {
        // ".forward${recipient_delimiter}${extension}" without an extension is the next entry's business.
        std::string path = expand_macros(pattern, macros, main.str("forward_expansion_filter"));
        auto text = read_forward(path, action.uid, false);
        if (!text) continue;
        auto destinations = parse_destination_file(*text);
        if (destinations.empty()) break;   // Postfix: an empty .forward is none
        // The user's own name means the mailbox, with or without the backslash: else it would go round.
        SplitAddress self = split_address(deliver.recipients.front().recipient.address);
        bool elsewhere = false;
        for (auto& destination : destinations) {
            if (destination.kind == AliasTarget::Kind::kAddress) {
                SplitAddress other = split_address(destination.value);
                std::string user = lower_case(split_local(other.local, main.str("recipient_delimiter")).user);
                if (user == lower_case(action.user) && (other.domain.empty() || other.domain == self.domain)) {
                    destination.kind = AliasTarget::Kind::kExact;
                    destination.value = action.user;
                }
            }
            if (destination.kind != AliasTarget::Kind::kExact ||
                lower_case(destination.value) != lower_case(action.user))
                elsewhere = true;
        }
        if (!elsewhere) break;
        Action from = action;
        from.from_alias = false;
        UserDelivery out;
        out.result = expand(destinations, deliver, from, "forward", main);
        return out;
    }
    return mailbox_of(deliver, action, main);
}

ipc::RecipientResult expand_include(const ipc::Deliver& deliver, const Action& action, const config::MainCf& main) {
    struct stat st {};
    if (action.path.empty() || action.path[0] != '/') {
        return bounced("5.2.4", fmt::format(":include:{} uses a relative path", action.path));
    }
    if (stat(action.path.c_str(), &st) != 0) {
        int why = errno;
        return failed(why == ENOENT || why == EACCES ? "5.2.4" : "4.2.4",
                      fmt::format("cannot open include file {}: {}", action.path, std::strerror(why)));
    }
    auto text = read_forward(action.path, st.st_uid, true);
    if (!text) return bounced("5.2.4", "include file " + action.path + " cannot be used");
    auto result = expand(parse_destination_file(*text), deliver, action, "include", main);
    if (result.outcome == ipc::Outcome::kExpanded && result.expansions.empty()) return sent("include file is empty");
    return result;
}

}   // namespace postcot::queued
