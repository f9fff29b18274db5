#include "libproto/runtime/sandbox.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "libproto/runtime/daemon.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"
#include "libproto/runtime/subprocess.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace std::chrono_literals;

namespace {

// Runs checks in a child; 0 says that all held, else the number of the first that did not.
template <class Fn>
int in_child(Loop& loop, Fn checks) {
    auto pid = fork_child(checks);
    if (!pid) return -1;
    auto status = loop.run_until_complete(wait_child(*pid));
    if (!status) return -2;
    if (WIFSIGNALED(*status)) return 1000 + WTERMSIG(*status);
    return WEXITSTATUS(*status);
}

}   // namespace

TEST_CASE("a sandboxed process cannot fork, exec or trace, and its threads and sockets still work") {
    Loop loop;
    int failed = in_child(loop, [] {
        Sandbox sandbox;
        if (!enter_sandbox(sandbox)) return 1;
        errno = 0;
        if (::syscall(SYS_fork) >= 0 || errno != EPERM) return 2;
        char* const argv[] = {nullptr};
        if (::execve("/bin/true", argv, argv) == 0 || errno != EPERM) return 3;
        if (::syscall(SYS_unshare, 0) == 0 || errno != EPERM) return 4;
        if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 5;
        UniqueFd unix_socket(::socket(AF_UNIX, SOCK_STREAM, 0));
        if (!unix_socket) return 6;
        if (::socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM) return 7;
        auto threads = []() -> Task<int> {
            int value = co_await blocking([] { return 5; });
            co_return value;
        };
        if (Loop::current().run_until_complete(threads()) != 5) return 8;
        return 0;
    });
    CHECK(failed == 0);
}

TEST_CASE("a loop that was made before the sandbox lives on in it, whatever the filter refuses") {
    Loop loop;
    // As in production, and with refused calls deadly: nothing that libuv, threads, timers, sockets and children of a loop need is among them.
    for (const char* mode : {"", "kill"}) {
        int failed = in_child(loop, [mode] {
            ::setenv("POSTCOT_SECCOMP", mode, 1);
            auto pair = socket_pair();   // watched by the loop from before on
            if (!pair) return 1;
            Stream before(std::move(pair->first));
            Stream peer(std::move(pair->second));
            Sandbox sandbox;
            sandbox.may_fork = true;
            if (!enter_sandbox(sandbox)) return 2;
            errno = 0;
            if (::syscall(SYS_io_uring_setup, 1, nullptr) >= 0 || errno != ENOSYS) return 3;
            auto talk = [&]() -> Task<int> {
                if (!co_await peer.write("hello\n") || !co_await peer.flush()) co_return 4;
                auto line = co_await before.read_line(100, 5s);
                if (!line || line->text != "hello") co_return 5;
                if (!co_await sleep_for(1ms)) co_return 6;
                if (co_await blocking([] { return 5; }) != 5) co_return 7;
                SubprocessOptions options;
                options.argv = {"/bin/sh", "-c", "exit 7"};
                auto result = co_await run_subprocess(options, 5s);
                co_return !result || WEXITSTATUS(result->status) != 7 ? 8 : 0;
            };
            return Loop::current().run_until_complete(talk());
        });
        CHECK(failed == 0);
    }
}

TEST_CASE("a process that may fork may, and one that may not connect may not") {
    Loop loop;
    int failed = in_child(loop, [] {
        Sandbox sandbox;
        sandbox.may_fork = true;
        sandbox.may_connect = false;
        if (!enter_sandbox(sandbox)) return 1;
        SubprocessOptions options;
        options.argv = {"/bin/sh", "-c", "exit 7"};
        auto result = Loop::current().run_until_complete(run_subprocess(options, 5s));
        if (!result || WEXITSTATUS(result->status) != 7) return 2;
        if (::socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 3;
        return 0;
    });
    CHECK(failed == 0);
}

TEST_CASE("as root, identity and root directory are given up for good") {
    if (!running_as_root()) return;
    Loop loop;
    int failed = in_child(loop, [] {
        auto nobody = find_account("nobody");
        if (!nobody) return 1;
        Sandbox sandbox;
        sandbox.account = &*nobody;
        sandbox.chroot = "/proc/self/fdinfo";   // any empty enough directory
        if (!enter_sandbox(sandbox)) return 2;
        if (::getuid() != nobody->uid || ::geteuid() != nobody->uid || ::getgid() != nobody->gid) return 3;
        gid_t groups[8];
        if (::getgroups(8, groups) > 1) return 4;
        if (::access("/etc/passwd", F_OK) == 0) return 5;
        if (::setuid(0) == 0) return 6;
        int death = 0;
        ::prctl(PR_GET_PDEATHSIG, &death);
        if (death != SIGTERM) return 7;
        return 0;
    });
    CHECK(failed == 0);
}

TEST_CASE("a folder that an account cannot pass is named, with the account") {
    if (!running_as_root()) return;
    auto nobody = find_account("nobody");
    REQUIRE(nobody);
    char made[] = "/tmp/postcot-reach-XXXXXX";
    REQUIRE(::mkdtemp(made));   // 0700, root's
    const std::string home = made;
    const std::string queue = home + "/spool";
    REQUIRE(::mkdir(queue.c_str(), 0755) == 0);
    auto shut = reachable(*nobody, queue);
    REQUIRE_FALSE(shut);
    CHECK(shut.error().code == EACCES);
    CHECK(shut.error().text.find("the folder " + home + " is shut for nobody") == 0);
    ::chmod(home.c_str(), 0711);
    CHECK(reachable(*nobody, queue));
    CHECK(reachable(*nobody, queue + "/not/yet/there"));
    ::chmod(queue.c_str(), 0700);
    CHECK_FALSE(reachable(*nobody, queue));
    ::rmdir(queue.c_str());
    ::rmdir(home.c_str());
}

TEST_CASE("Landlock, where the kernel has it, leaves only the named paths") {
    Loop loop;
    if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) < 1) return;
    char directory[] = "/tmp/postcot-sandbox-XXXXXX";
    REQUIRE(::mkdtemp(directory));
    std::string writable = directory;
    int failed = in_child(loop, [&] {
        Sandbox sandbox;
        sandbox.filesystem = true;
        sandbox.may_read = {"/etc"};
        sandbox.may_write = {writable};
        if (!enter_sandbox(sandbox)) return 1;
        if (UniqueFd fd(::open("/etc/passwd", O_RDONLY)); !fd) return 2;
        if (UniqueFd fd(::open((writable + "/x").c_str(), O_RDWR | O_CREAT, 0600)); !fd) return 3;
        if (UniqueFd fd(::open("/bin/sh", O_RDONLY)); fd) return 4;
        if (UniqueFd fd(::open("/tmp/postcot-not-allowed", O_RDWR | O_CREAT, 0600)); fd) return 5;
        return 0;
    });
    CHECK(failed == 0);
    ::unlink((writable + "/x").c_str());
    ::rmdir(directory);
}
