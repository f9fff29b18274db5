// RFC 3501 §6.3.8 LIST, §6.3.9 LSUB; LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC 6154), CHILDREN (RFC 3348).
#include <algorithm>
#include <set>

#include "imapd/commands/commands.h"
#include "imapd/commands/status.h"
#include "libproto/imap/mailbox_name.h"
#include "libproto/imap/response.h"
#include "libproto/imap/text.h"

namespace postcot::imapd {

namespace {

// INBOX is matched in any case, also as the first level of a longer name.
bool matches(const std::string& pattern, const std::string& name, char separator) {
    if (imap::matches_list_pattern(pattern, name, separator)) return true;
    if (name == "INBOX") return imap::matches_list_pattern(imap::to_upper(pattern), name, separator);
    if (!name.starts_with("INBOX") || name[5] != separator || pattern.size() < 6) return false;
    std::string canonical = pattern;
    for (size_t i = 0; i < 5; ++i) canonical[i] = imap::upper(canonical[i]);
    return imap::matches_list_pattern(canonical, name, separator);
}

class Lister {
  public:
    Lister(const imap::List& command, maildir::MailStore& store, std::string& out)
        : command_(command), store_(store), out_(out) {}

    Expected<void> run() {
        auto folders = store_.folders(command_.lsub || command_.select_subscribed);
        if (!folders) return fail(folders.error());
        if (command_.lsub) {
            lsub(*folders);
            return {};
        }
        for (const auto& folder : *folders) {
            auto listed = list(folder, *folders);
            if (!listed) return listed;
        }
        return {};
    }

  private:
    bool pattern_matches(const std::string& name, char separator) const {
        for (const std::string& pattern : command_.patterns) {
            if (matches(command_.reference + pattern, name, separator)) return true;
        }
        return false;
    }

    void line(std::string_view kind, const std::string& attributes, char separator, const std::string& name,
              std::string_view rest = {}) {
        out_ += "* ";
        out_ += kind;
        out_ += " (" + attributes + ") ";
        imap::append_string(out_, std::string(1, separator));
        out_ += ' ';
        imap::append_mailbox(out_, name);
        out_ += rest;
        out_ += "\r\n";
    }

    // §6.3.9: with "%", a level that is not subscribed to but leads to one that is comes with \Noselect.
    void lsub(const std::vector<maildir::FolderInfo>& folders) {
        std::set<std::string> subscribed, said;
        bool percent = std::any_of(command_.patterns.begin(), command_.patterns.end(),
                                   [](const std::string& pattern) { return pattern.find('%') != std::string::npos; });
        for (const auto& folder : folders) {
            if (folder.subscribed) subscribed.insert(folder.name);
        }
        for (const auto& folder : folders) {
            if (!folder.subscribed) continue;
            if (pattern_matches(folder.name, folder.separator)) {
                line("LSUB", "", folder.separator, folder.name);   // \Noselect would say: not subscribed to
                continue;
            }
            if (!percent) continue;
            for (size_t end = folder.name.rfind(folder.separator); end != std::string::npos && end > 0;
                 end = folder.name.rfind(folder.separator, end - 1)) {
                std::string parent = folder.name.substr(0, end);
                if (subscribed.count(parent) || !pattern_matches(parent, folder.separator) ||
                    !said.insert(parent).second)
                    continue;
                line("LSUB", "\\Noselect", folder.separator, parent);
            }
        }
    }

    bool selected(const maildir::FolderInfo& folder) const {
        if (command_.select_subscribed && !folder.subscribed) return false;
        if (command_.select_special_use && folder.special_use.empty()) return false;
        return true;
    }

    Expected<void> list(const maildir::FolderInfo& folder, const std::vector<maildir::FolderInfo>& all) {
        if (!pattern_matches(folder.name, folder.separator)) return {};
        std::string child_info;
        if (!selected(folder)) {
            // RFC 5258 §3.5: RECURSIVEMATCH names a parent whose children match the selection but not the pattern.
            if (!command_.select_recursive_match) return {};
            std::string prefix = folder.name + folder.separator;
            bool found = false;
            for (const auto& other : all) {
                found = found || (other.name.starts_with(prefix) && selected(other) &&
                                  !pattern_matches(other.name, other.separator));
            }
            if (!found) return {};
            child_info =
                command_.select_subscribed ? " (\"CHILDINFO\" (\"SUBSCRIBED\"))" : " (\"CHILDINFO\" (\"SPECIAL-USE\"))";
        } else if (!folder.exists && !command_.select_subscribed) {
            return {};
        }
        std::string attributes;
        auto add = [&](std::string_view attribute) {
            if (!attributes.empty()) attributes += ' ';
            attributes += attribute;
        };
        // In the extended form only what was asked for; in the old form what every client wants to know.
        bool children = !command_.extended || command_.return_children;
        bool special_use = !command_.extended || command_.return_special_use || command_.select_special_use;
        if (!folder.exists)
            add("\\NonExistent");
        else if (!folder.selectable)
            add(command_.extended ? "\\NonExistent" : "\\Noselect");
        if (folder.subscribed && (command_.select_subscribed || command_.return_subscribed)) add("\\Subscribed");
        if (children) add(folder.has_children ? "\\HasChildren" : "\\HasNoChildren");
        if (special_use && !folder.special_use.empty()) add(folder.special_use);
        line("LIST", attributes, folder.separator, folder.name, child_info);
        if (command_.return_status && folder.exists && folder.selectable) {
            // RFC 5819 §2: a STATUS that fails is left out.
            (void)append_status(out_, store_, folder.name, *command_.return_status);
        }
        return {};
    }

    const imap::List& command_;
    maildir::MailStore& store_;
    std::string& out_;
};

// §6.3.8: an empty pattern asks for the separator and the root of the reference.
std::string root_line(maildir::MailStore& store, const imap::List& command) {
    char separator = '.';
    std::string root;
    for (const auto& space : store.namespaces()) {
        if (!command.reference.starts_with(space.prefix) && !space.prefix.empty()) continue;
        separator = space.separator;
        if (!space.prefix.empty() || space.inbox) root = space.prefix;
    }
    std::string out = "* LIST (\\Noselect) ";
    imap::append_string(out, std::string(1, separator));
    out += ' ';
    imap::append_mailbox(out, command.reference.empty() ? std::string() : root, true);
    return out + "\r\n";
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::List& command) {
    if (command.return_status && command.return_status->highest_modseq) session.enable_condstore();
    std::string done = command.lsub ? "Lsub completed." : "List completed.";
    std::string out;
    auto run = [&](maildir::MailStore& store) -> Expected<void> {
        if (!command.extended && command.patterns.size() == 1 && command.patterns[0].empty()) {
            if (!command.lsub) out = root_line(store, command);
            return {};
        }
        return Lister(command, store, out).run();
    };
    auto listed = co_await session.owner().with_store(run);
    if (!listed) co_return Dispatch{no(listed.error()), News::kAll};
    auto written = co_await session.stream().write(out, kOutputTimeout);
    if (!written) session.end("Connection closed");
    co_return Dispatch{ok(std::move(done)), News::kAll};
}

}   // namespace postcot::imapd
