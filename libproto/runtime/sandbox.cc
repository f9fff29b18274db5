#include "libproto/runtime/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;   // LeakSanitizer looks at us with clone(2) and ptrace(2)
#else
constexpr bool kSanitized = false;
#endif

bool parse_id(const std::string& text, unsigned& id) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

Expected<unsigned> find_group(const std::string& name) {
    if (const group* entry = ::getgrnam(name.c_str())) return entry->gr_gid;
    unsigned id = 0;
    if (parse_id(name, id)) return id;
    return fail(ENOENT, "unknown group: " + name);
}

Expected<void> change_identity(const Sandbox& sandbox) {
    const Account* account = sandbox.account;
    std::vector<gid_t> groups;
    for (const auto& name : sandbox.extra_groups) {
        auto id = find_group(name);
        if (!id) return fail(id.error());
        groups.push_back(*id);
    }
    if (account) {
        groups.insert(groups.begin(), account->gid);
        if (::setgroups(groups.size(), groups.data()) < 0) return fail_errno(errno, "setgroups");
    }
    if (!sandbox.chroot.empty()) {
        if (::chroot(sandbox.chroot.c_str()) < 0) return fail_errno(errno, "chroot " + sandbox.chroot);
        if (::chdir("/") < 0) return fail_errno(errno, "chdir /");
    }
    if (!account) return {};
    if (::setresgid(account->gid, account->gid, account->gid) < 0) return fail_errno(errno, "setgid");
    if (::setresuid(account->uid, account->uid, account->uid) < 0) return fail_errno(errno, "setuid");
    if (account->uid != 0 && (::setuid(0) == 0 || ::geteuid() == 0)) return fail(EPERM, "root can be regained");
    return {};
}

// ---- Landlock (landlock(7)); the C library has no wrappers.

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

constexpr uint64_t kReadAccess =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr uint64_t kFileAccess = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE |
                                 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;

uint64_t known_access(long abi) {
    uint64_t all = (1ULL << 13) - 1;   // version 1
    if (abi >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3) all |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return all;
}

Expected<void> allow_path(int ruleset, const std::string& path, uint64_t access) {
    UniqueFd parent(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!parent) return {};   // what is not there cannot be used either
    struct stat status {};
    if (::fstat(parent.get(), &status) == 0 && !S_ISDIR(status.st_mode)) access &= kFileAccess;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access;
    rule.parent_fd = parent.get();
    if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0) {
        return fail_errno(errno, "landlock rule for " + path);
    }
    return {};
}

Expected<void> restrict_files(const Sandbox& sandbox) {
    long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return {};   // not in this kernel: uid, chroot and seccomp must do
    uint64_t all = known_access(abi);
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = all;
    UniqueFd ruleset(
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0)));
    if (!ruleset) return fail_errno(errno, "landlock");
    for (const auto& path : sandbox.may_read) {
        if (auto done = allow_path(ruleset.get(), path, kReadAccess & all); !done) return done;
    }
    for (const auto& path : sandbox.may_write) {
        if (auto done = allow_path(ruleset.get(), path, all); !done) return done;
    }
    if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) < 0) return fail_errno(errno, "landlock");
    return {};
}

// ---- seccomp: what no mail program does is refused, so that a hole in a parser stays a hole in a parser.

constexpr const char* kNever[] = {
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "memfd_secret",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
};

class Filter {
  public:
    explicit Filter(uint32_t refusal) : context_(::seccomp_init(SCMP_ACT_ALLOW)), refusal_(refusal) {}
    ~Filter() { ::seccomp_release(context_); }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    void refuse(const char* name) {
        int number = ::seccomp_syscall_resolve_name(name);
        if (number != __NR_SCMP_ERROR && number >= 0) note(::seccomp_rule_add(context_, refusal_, number, 0));
    }
    void refuse_if(int number, scmp_arg_cmp condition) {
        note(::seccomp_rule_add_array(context_, refusal_, number, 1, &condition));
    }
    void answer(int number, int errnum) {
        note(::seccomp_rule_add(context_, SCMP_ACT_ERRNO(static_cast<uint16_t>(errnum)), number, 0));
    }
    void answer(const char* name, int errnum) {
        int number = ::seccomp_syscall_resolve_name(name);
        if (number != __NR_SCMP_ERROR && number >= 0) answer(number, errnum);
    }
    Expected<void> load() {
        if (!context_) return fail(ENOMEM, "seccomp");
        // Threads of the pool, if any runs already, are filtered too.
        note(::seccomp_attr_set(context_, SCMP_FLTATR_CTL_TSYNC, 1));
        note(::seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2));
        // Where the kernel can (4.14 on), its log says which call was refused ("type=1326 ... syscall=").
        (void)::seccomp_attr_set(context_, SCMP_FLTATR_CTL_LOG, 1);
        if (failed_ == 0) note(::seccomp_load(context_));
        if (failed_) return fail_errno(failed_, "seccomp");
        return {};
    }

  private:
    void note(int result) {
        if (result < 0 && !failed_) failed_ = -result;
    }
    scmp_filter_ctx context_;
    uint32_t refusal_;
    int failed_ = 0;
};

Expected<void> filter_calls(const Sandbox& sandbox) {
    const char* mode = std::getenv("POSTCOT_SECCOMP");
    bool kill = mode && std::strcmp(mode, "kill") == 0;
    Filter filter(kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
    for (const char* name : kNever) filter.refuse(name);
    if (!kSanitized) filter.refuse("ptrace");
    // Its flags are in memory, out of the filter's sight; the C library falls back to clone(2).
    filter.answer(SCMP_SYS(clone3), ENOSYS);
    // What goes through a ring, no filter sees. Libraries that find no rings do without (libuv, with Loop::renew_kernel_objects()).
    for (const char* name : {"io_uring_setup", "io_uring_enter", "io_uring_register"}) filter.answer(name, ENOSYS);
    for (uint64_t flag :
         {uint64_t{CLONE_NEWUSER}, uint64_t{CLONE_NEWNS}, uint64_t{CLONE_NEWPID}, uint64_t{CLONE_NEWNET},
          uint64_t{CLONE_NEWIPC}, uint64_t{CLONE_NEWUTS}, uint64_t{CLONE_NEWCGROUP}}) {
        filter.refuse_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    }
    if (!sandbox.may_fork) {
        if (!kSanitized) filter.refuse_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
        filter.refuse("fork");
        filter.refuse("vfork");
        filter.refuse("execve");
        filter.refuse("execveat");
    }
    if (!sandbox.may_connect) {
        filter.refuse("socket");
        filter.refuse("connect");
    } else {
        // Unix, IPv4, IPv6, and netlink for getaddrinfo(3).
        for (int family = 3; family < AF_NETLINK; ++family) {
            if (family == AF_INET6) continue;
            filter.refuse_if(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
        }
        filter.refuse_if(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
    }
    return filter.load();
}

}   // namespace

bool running_as_root() { return ::geteuid() == 0; }

Expected<Account> find_account(const std::string& user, const std::string& group_name) {
    Account account;
    unsigned id = 0;
    const passwd* entry = ::getpwnam(user.c_str());
    if (!entry && parse_id(user, id)) {
        entry = ::getpwuid(id);
        if (!entry) {
            account.uid = account.gid = id;
            account.name = user;
        }
    } else if (!entry) {
        return fail(ENOENT, "unknown user: " + user);
    }
    if (entry) {
        account.uid = entry->pw_uid;
        account.gid = entry->pw_gid;
        account.name = entry->pw_name;
        account.home = entry->pw_dir;
    }
    if (!group_name.empty()) {
        auto gid = find_group(group_name);
        if (!gid) return fail(gid.error());
        account.gid = *gid;
    }
    return account;
}

Expected<void> reachable(const Account& account, const std::string& path) {
    if (!running_as_root() || path.empty() || path[0] != '/') return {};
    std::vector<std::string> folders;
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
        folders.push_back(path.substr(0, slash));
    folders.push_back(path);
    // Asked of the kernel, as the account: access-control lists and the mount's own rules count, too.
    pid_t pid = ::fork();
    if (pid < 0) return fail_errno(errno, "fork");
    constexpr int kCannotAsk = 255;
    if (pid == 0) {
        if (::initgroups(account.name.c_str(), account.gid) < 0 && ::setgroups(1, &account.gid) < 0)
            ::_exit(kCannotAsk);
        if (::setresgid(account.gid, account.gid, account.gid) < 0) ::_exit(kCannotAsk);
        if (::setresuid(account.uid, account.uid, account.uid) < 0) ::_exit(kCannotAsk);
        for (size_t i = 0; i < folders.size(); ++i) {
            if (::access(folders[i].c_str(), X_OK) == 0) continue;
            ::_exit(errno == EACCES ? static_cast<int>(std::min<size_t>(i + 1, kCannotAsk - 1)) : 0);
        }
        ::_exit(0);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    const int shut = WIFEXITED(status) ? WEXITSTATUS(status) : kCannotAsk;
    if (shut == 0) return {};
    if (shut == kCannotAsk) return fail(EPERM, "cannot become " + account.name + " to look at " + path);
    return fail(EACCES, "the folder " + folders[static_cast<size_t>(shut) - 1] + " is shut for " + account.name +
                            ", who needs " + path + ": chmod o+x it, or choose another place");
}

Expected<void> enter_sandbox(const Sandbox& sandbox) {
    // A change of uid drops the parent-death signal.
    int death_signal = 0;
    ::prctl(PR_GET_PDEATHSIG, &death_signal);
    if (running_as_root()) {
        if (auto done = change_identity(sandbox); !done) return done;
    }
    if (death_signal) ::prctl(PR_SET_PDEATHSIG, death_signal);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return fail_errno(errno, "no_new_privs");
    if (sandbox.filesystem) {
        if (auto done = restrict_files(sandbox); !done) return done;
    }
    if (!sandbox.seccomp) return {};
    if (auto done = filter_calls(sandbox); !done) return done;
    Loop::renew_kernel_objects();
    return {};
}

}   // namespace postcot
