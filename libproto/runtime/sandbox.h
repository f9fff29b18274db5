// The one function through which every process gives up what it does not need, before it reads its first foreign byte.
#pragma once

#include <string>
#include <vector>

#include "libproto/error.h"

namespace postcot {

struct Account {
    unsigned uid = 0;
    unsigned gid = 0;
    std::string name;
    std::string home;
};
Expected<Account> find_account(const std::string& user, const std::string& group = {});   // by name or number

// Whether the account may pass through every folder on the way to `path` and, where that is there, enter it. EACCES names the first folder that is shut and for
// whom. What is not there yet is nobody's obstacle. Without root, who could not become the account: always yes.
Expected<void> reachable(const Account& account, const std::string& path);

struct Sandbox {
    const Account* account = nullptr;        // nullptr: stay
    std::vector<std::string> extra_groups;   // supplementary group names
    std::string chroot;                      // empty: none. Needs root.
    std::vector<std::string> may_read;       // Landlock, when `filesystem` is true and the kernel has it
    std::vector<std::string> may_write;
    bool filesystem = false;   // restrict the file system with Landlock
    bool may_fork = false;     // else the seccomp filter refuses fork/exec
    bool may_connect = true;   // else it refuses socket() and connect()
    bool seccomp = true;
};

// In order: groups, chroot, gid, uid, no_new_privs, Landlock, seccomp. Without root, account and chroot are skipped silently: everything else applies.
// A seccomp violation kills the process in tests (POSTCOT_SECCOMP=kill) and returns EPERM otherwise; io_uring's calls and clone3(2), which libraries can do
// without, answer ENOSYS. This thread's Loop goes on without a ring.
Expected<void> enter_sandbox(const Sandbox& sandbox);

bool running_as_root();

}   // namespace postcot
