// Where folders are: Maildir++ (INBOX at the root, ".Sent.2026" beside it) and LAYOUT=fs ("Sent/2026"). Names on disk are modified UTF-7.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libmaildir/folder.h"
#include "libmaildir/options.h"
#include "libproto/error.h"
#include "libproto/runtime/files.h"

namespace postcot::maildir {

// mail_location, taken apart.
struct Location {
    enum class Layout { kMaildirPlusPlus, kFs } layout = Layout::kMaildirPlusPlus;
    std::string root;      // ~/Maildir
    std::string inbox;     // INBOX=; else root
    std::string control;   // CONTROL=; else root
    std::string index;     // directory of our index; empty: none (INDEX=MEMORY)
    char separator() const { return layout == Layout::kFs ? '/' : '.'; }

    static Expected<Location> parse(const std::string& text, const std::string& home);

    // `parts` are UTF-8; empty means INBOX. Errors: CANNOT for what cannot be a folder's name.
    Expected<FolderPaths> paths(const std::vector<std::string>& parts) const;
    // The name as the layout writes it: "Sent.&1VyuAA-".
    static Expected<std::string> stored_name(const std::vector<std::string>& parts, char separator);
    static Expected<std::vector<std::string>> parts_of(std::string_view stored, char separator);
    // Every folder but INBOX, in parts.
    Expected<std::vector<std::vector<std::string>>> list(Files& files) const;
};

std::vector<std::string> split_name(std::string_view name, char separator);

}   // namespace postcot::maildir
