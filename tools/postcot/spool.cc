#include "tools/postcot/spool.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "libproto/runtime/sandbox.h"

namespace postcot::control {

namespace {

struct Folder {
    std::string path;
    std::string owner, group;   // names or numbers
    mode_t mode;
};

// postfix-files(5) of Postfix 3.7; Dovecot's master makes base_dir and base_dir/login alike.
std::vector<Folder> folders_of(const Settings& settings, Half half) {
    if (half == Half::kDovecot) {
        std::string base = settings.dovecot->str("base_dir");
        std::string login_group = "0";
        std::string login_user = settings.dovecot->str("default_login_user");
        if (auto account = find_account(login_user)) login_group = std::to_string(account->gid);
        return {{base, "0", "0", 0755}, {base + "/login", "0", login_group, 0750}};
    }
    const auto& main = *settings.main;
    std::string queue = main.str("queue_directory");
    std::string owner = main.str("mail_owner");
    std::string drop = main.str("setgid_group");
    std::vector<Folder> folders = {{queue, "0", "0", 0755}, {queue + "/pid", "0", "0", 0755}};
    for (const char* name : {"incoming", "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "saved",
                             "trace", "private"}) {
        folders.push_back({queue + "/" + name, owner, "0", 0700});
    }
    folders.push_back({queue + "/public", owner, drop, 0710});
    folders.push_back({queue + "/maildrop", owner, drop, 01730});
    auto account = find_account(owner);
    folders.push_back({main.str("data_directory"), owner, account ? std::to_string(account->gid) : "0", 0700});
    return folders;
}

unsigned group_number(const std::string& name) {
    if (const group* entry = ::getgrnam(name.c_str())) return entry->gr_gid;
    return static_cast<unsigned>(std::strtoul(name.c_str(), nullptr, 10));
}

Expected<void> make_path(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        std::string parent = path.substr(0, slash);
        if (::mkdir(parent.c_str(), 0755) < 0 && errno != EEXIST) return fail_errno(errno, "mkdir " + parent);
    }
    return {};
}

Expected<void> create(const Folder& folder) {
    struct stat status {};
    if (::stat(folder.path.c_str(), &status) == 0) {
        if (S_ISDIR(status.st_mode)) return {};
        return fail_errno(ENOTDIR, folder.path);
    }
    if (auto made = make_path(folder.path); !made) return made;
    if (::mkdir(folder.path.c_str(), 0700) < 0) return fail_errno(errno, "mkdir " + folder.path);
    if (running_as_root()) {
        auto account = find_account(folder.owner);
        if (!account) return fail(account.error());
        if (::chown(folder.path.c_str(), account->uid, group_number(folder.group)) < 0) {
            return fail_errno(errno, "chown " + folder.path);
        }
    }
    if (::chmod(folder.path.c_str(), folder.mode) < 0) return fail_errno(errno, "chmod " + folder.path);
    return {};
}

// What could not be read, and waits for a human to look at it.
void say_set_aside(const std::string& folder, std::vector<std::string>& out) {
    std::error_code ignored;
    size_t count = 0;
    std::string names;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        if (++count <= 5) names += (names.empty() ? "" : ", ") + entry.path().filename().string();
    }
    if (count == 0) return;
    out.push_back(fmt::format("{}: {} {} set aside, since {} could not be read: {}{}", folder, count,
                              count == 1 ? "file was" : "files were", count == 1 ? "it" : "they", names,
                              count > 5 ? " ..." : ""));
}

}   // namespace

Expected<void> create_folders(const Settings& settings, Half half) {
    for (const auto& folder : folders_of(settings, half)) {
        if (auto made = create(folder); !made) return made;
    }
    if (half != Half::kPostfix || !running_as_root()) return {};
    auto owner = find_account(settings.main->str("mail_owner"));
    if (!owner) return fail(owner.error());
    for (const char* name : {"queue_directory", "data_directory"}) {
        if (auto open = reachable(*owner, settings.main->str(name)); !open) {
            return fail(open.error().code, std::string(name) + ": " + open.error().text);
        }
    }
    return {};
}

std::vector<std::string> check_folders(const Settings& settings, Half half) {
    std::vector<std::string> wrong;
    for (const auto& folder : folders_of(settings, half)) {
        struct stat status {};
        if (::stat(folder.path.c_str(), &status) < 0) {
            wrong.push_back(fmt::format("{}: {}", folder.path, std::string(strerror(errno))));
            continue;
        }
        if (!S_ISDIR(status.st_mode)) {
            wrong.push_back(fmt::format("not a directory: {}", folder.path));
            continue;
        }
        if (!running_as_root()) continue;
        auto account = find_account(folder.owner);
        if (!account) {
            wrong.push_back(account.error().text);
        } else if (status.st_uid != account->uid) {
            wrong.push_back(
                fmt::format("not owned by {}: {}", folder.owner == "0" ? "root" : folder.owner, folder.path));
        }
        // Postfix's words. The group matters where postdrop(1) and sendmail(1) of ordinary users come in.
        bool shared = folder.mode & 0070;
        if (shared && folder.group != "0" && status.st_gid != group_number(folder.group)) {
            wrong.push_back(fmt::format("not owned by group {}: {}", folder.group, folder.path));
        }
        if (status.st_mode & 0022 & ~folder.mode) {
            wrong.push_back(fmt::format("group or other writable: {}", folder.path));
        }
    }
    if (half == Half::kDovecot) {
        // Its sockets are for other programs' accounts.
        auto account = find_account(settings.dovecot->str("default_internal_user"));
        if (account) {
            auto open = reachable(*account, settings.dovecot->str("base_dir"));
            if (!open) wrong.push_back("base_dir: " + open.error().text);
        }
    }
    if (half == Half::kPostfix) say_set_aside(settings.main->str("queue_directory") + "/corrupt", wrong);
    // Who may write these may say what runs as root.
    for (const char* name : {"main.cf", "master.cf"}) {
        if (half != Half::kPostfix || !running_as_root()) break;
        struct stat status {};
        const std::string path = settings.root + "/postfix/" + name;
        if (::stat(path.c_str(), &status) < 0) continue;
        if (status.st_uid != 0) wrong.push_back("not owned by root: " + path);
        if (status.st_mode & 0022) wrong.push_back("group or other writable: " + path);
    }
    return wrong;
}

}   // namespace postcot::control
