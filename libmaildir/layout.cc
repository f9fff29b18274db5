#include "libmaildir/layout.h"

#include <algorithm>

#include "libproto/mime/charset.h"
#include "libproto/mime/header.h"

namespace postcot::maildir {

namespace {

constexpr size_t kMaxStoredName = 240;   // of 255 that a file name may have
constexpr size_t kMaxParts = kMaxStoredName / 2;

Error cannot(std::string text) { return Error{EINVAL, "CANNOT", std::move(text)}; }

bool is_directory(Files& files, const std::string& path) {
    auto status = files.stat(path);
    return status && S_ISDIR(status->st_mode);
}

// Folders below `directory`, for LAYOUT=fs.
void list_fs(Files& files, const std::string& directory, std::vector<std::string>& above,
             std::vector<std::vector<std::string>>& out) {
    auto names = files.list(directory);
    if (!names || above.size() >= kMaxParts) return;
    for (const std::string& name : *names) {
        if (name.empty() || name[0] == '.' || name == "cur" || name == "new" || name == "tmp" ||
            name == "postcot.index")
            continue;
        if (!is_directory(files, directory + "/" + name)) continue;
        auto part = mime::mutf7_to_utf8(name);
        if (!part) continue;
        above.push_back(*part);
        if (files.exists(directory + "/" + name + "/cur")) out.push_back(above);
        list_fs(files, directory + "/" + name, above, out);
        above.pop_back();
    }
}

}   // namespace

std::vector<std::string> split_name(std::string_view name, char separator) {
    std::vector<std::string> parts;
    size_t at = 0;
    for (;;) {
        size_t end = std::min(name.find(separator, at), name.size());
        parts.emplace_back(name.substr(at, end - at));
        if (end == name.size()) return parts;
        at = end + 1;
    }
}

Expected<Location> Location::parse(const std::string& text, const std::string& home) {
    auto expand = [&](std::string path) -> std::string {
        if (path == "~") return home;
        if (path.starts_with("~/")) return home + path.substr(1);
        if (!path.starts_with("/")) return home + "/" + path;
        while (path.size() > 1 && path.back() == '/') path.pop_back();
        return path;
    };
    Location out;
    std::vector<std::string> words = split_name(text, ':');
    // Without a kind, or with "auto", Dovecot looks what is there; here only a Maildir can be.
    if (words[0].starts_with("~") || words[0].starts_with("/")) words.insert(words.begin(), "auto");
    if (mime::iequals(words[0], "mbox"))
        return fail(
            EINVAL, "UNAVAILABLE",
            "mbox is not served, only Maildir: set mail_location = maildir:~/Maildir (2.4: mail_driver = maildir, "
            "mail_path = ~/Maildir) and convert each user's mail with Dovecot's doveadm -o mail_location=" +
                std::string("maildir:~/Maildir sync -1 -R ") + words[0] + ":...; nothing was touched");
    if (!mime::iequals(words[0], "maildir") && !mime::iequals(words[0], "auto"))
        return fail(EINVAL, "UNAVAILABLE", "only maildir:<path> is served, not \"" + text + "\"");
    if (words.size() < 2) words.emplace_back();
    if (words[1].empty()) words[1] = "~/Maildir";   // Dovecot's, where a Maildir is named without its path
    out.root = out.inbox = out.control = expand(words[1]);
    std::string index;
    for (size_t i = 2; i < words.size(); ++i) {
        size_t equals = words[i].find('=');
        std::string key = words[i].substr(0, equals);
        std::string value = equals == std::string::npos ? "" : words[i].substr(equals + 1);
        if (key == "INBOX") {
            out.inbox = expand(value);
        } else if (key == "CONTROL") {
            out.control = expand(value);
        } else if (key == "INDEX") {
            index = value;
        } else if (key == "LAYOUT" && mime::iequals(value, "fs")) {
            out.layout = Layout::kFs;
        } else if (!(key == "LAYOUT" && mime::iequals(value, "maildir++"))) {
            return fail(EINVAL, "UNAVAILABLE", "the suffix " + words[i] + " is not served");
        }
    }
    if (index == "MEMORY") {
        out.index.clear();
    } else if (index.empty()) {
        out.index = out.root + "/postcot.index";
    } else {
        out.index = expand(index) + "/postcot.index";
    }
    return out;
}

Expected<std::string> Location::stored_name(const std::vector<std::string>& parts, char separator) {
    std::string out;
    if (parts.size() > kMaxParts) return fail(cannot("Too many levels in mailbox name"));
    for (const std::string& part : parts) {
        if (part.empty()) return fail(cannot("Invalid mailbox name: empty level"));
        if (part == "." || part == ".." || (separator == '/' && part[0] == '.'))
            return fail(cannot("Invalid mailbox name: starts with a dot"));
        for (char c : part)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/' || c == separator)
                return fail(cannot("Character not allowed in mailbox name"));
        if (!mime::valid_utf8(part)) return fail(cannot("Mailbox name is not valid UTF-8"));
        if (separator == '/' && (part == "cur" || part == "new" || part == "tmp" || part == "postcot.index"))
            return fail(cannot("Mailbox name is reserved"));
        if (!out.empty()) out += separator;
        out += mime::utf8_to_mutf7(part);
    }
    if (out[0] == '~' || out.size() > kMaxStoredName) return fail(cannot("Mailbox name is not valid"));
    return out;
}

Expected<std::vector<std::string>> Location::parts_of(std::string_view stored, char separator) {
    std::vector<std::string> parts;
    for (const std::string& part : split_name(stored, separator)) {
        auto text = mime::mutf7_to_utf8(part);
        if (!text) return fail(text.error());
        if (text->empty()) return fail(EINVAL, "empty level in a folder's name");
        parts.push_back(std::move(*text));
    }
    return parts;
}

Expected<FolderPaths> Location::paths(const std::vector<std::string>& parts) const {
    FolderPaths out;
    out.root = control;
    if (parts.empty()) {
        out.directory = inbox;
        out.control = control == root ? inbox : control + (layout == Layout::kFs ? "/INBOX" : "/.INBOX");
        return out;
    }
    auto stored = stored_name(parts, separator());
    if (!stored) return fail(stored.error());
    std::string tail = (layout == Layout::kFs ? "/" : "/.") + *stored;
    out.directory = root + tail;
    out.control = control + tail;
    return out;
}

Expected<std::vector<std::vector<std::string>>> Location::list(Files& files) const {
    std::vector<std::vector<std::string>> out;
    if (layout == Layout::kFs) {
        std::vector<std::string> above;
        list_fs(files, root, above, out);
    } else {
        auto names = files.list(root);
        if (!names) return fail(names.error());
        for (const std::string& name : *names) {
            if (name.size() < 2 || name[0] != '.' || name[1] == '.') continue;
            auto parts = parts_of(std::string_view(name).substr(1), '.');
            if (!parts || !is_directory(files, root + "/" + name)) continue;
            out.push_back(std::move(*parts));
        }
    }
    return out;
}

}   // namespace postcot::maildir
