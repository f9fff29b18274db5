#include "queued/spool_folders.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postcot::queued {

namespace {

struct Folder {
    const char* name;
    mode_t mode;
    bool owned;      // by mail_owner; else as it is
    bool postdrop;   // group setgid_group
};

// As postfix-files has them; made when absent, so that a fresh folder works.
constexpr Folder kFolders[] = {
    {"", 0755, false, false},        {"/private", 0700, true, false}, {"/public", 0710, true, true},
    {"/maildrop", 0730, true, true}, {"/journal", 0700, true, false}, {"/large", 0700, true, false},
    {"/index", 0700, true, false},   {"/corrupt", 0700, true, false},
};
constexpr Folder kPostfixFolders[] = {
    {"/incoming", 0700, true, false}, {"/active", 0700, true, false},   {"/deferred", 0700, true, false},
    {"/hold", 0700, true, false},     {"/defer", 0700, true, false},    {"/bounce", 0700, true, false},
    {"/trace", 0700, true, false},    {"/handback", 0700, true, false},
};

Expected<void> prepare(const std::string& path, const Folder& folder, const SpoolAccounts& accounts) {
    if (::mkdir(path.c_str(), folder.mode) != 0) {
        if (errno != EEXIST) return fail_errno(errno, "create " + path);
        if (!accounts.root) return {};
    } else {
        ::chmod(path.c_str(), folder.mode);
    }
    if (!accounts.root || !folder.owned) return {};
    struct stat st {};
    gid_t group = folder.postdrop ? accounts.postdrop.gid : static_cast<gid_t>(-1);
    if (::stat(path.c_str(), &st) == 0 &&
        (st.st_uid != accounts.owner.uid || (group != static_cast<gid_t>(-1) && st.st_gid != group))) {
        if (::chown(path.c_str(), accounts.owner.uid, group) != 0) return fail_errno(errno, "chown " + path);
        ::chmod(path.c_str(), folder.mode);
    }
    return {};
}

}   // namespace

Expected<SpoolAccounts> SpoolAccounts::find(const config::MainCf& main) {
    SpoolAccounts out;
    out.root = running_as_root();
    if (!out.root) return out;
    auto owner = find_account(main.str("mail_owner"));
    if (!owner) return fail(owner.error().code, "mail_owner: " + owner.error().text);
    auto postdrop = find_account(main.str("mail_owner"), main.str("setgid_group"));
    if (!postdrop) return fail(postdrop.error().code, "setgid_group: " + postdrop.error().text);
    out.owner = *owner;
    out.postdrop = *postdrop;
    return out;
}

Expected<void> prepare_folders(const std::string& queue_directory, const SpoolAccounts& accounts, bool postfix) {
    if (accounts.root) {
        if (auto open = reachable(accounts.owner, queue_directory); !open) {
            return fail(open.error().code, "queue_directory: " + open.error().text);
        }
    }
    for (const auto& folder : kFolders) {
        if (auto made = prepare(queue_directory + folder.name, folder, accounts); !made) return made;
    }
    if (!postfix) return {};
    for (const auto& folder : kPostfixFolders) {
        if (auto made = prepare(queue_directory + folder.name, folder, accounts); !made) return made;
    }
    return {};
}

Expected<UniqueFd> lock_queue(const std::string& queue_directory, int seconds) {
    std::string path = queue_directory + "/journal/lock";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno(errno, "open " + path);
    for (int tries = 0; ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
        if (errno != EWOULDBLOCK || tries >= 10 * seconds)
            return fail(EBUSY, "another queue manager uses " + queue_directory);
        ::usleep(100000);
    }
    return fd;
}

}   // namespace postcot::queued
