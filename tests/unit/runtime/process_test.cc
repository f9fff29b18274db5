#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>

#include "libproto/runtime/daemon.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/reactor.h"
#include "libproto/runtime/stream.h"
#include "libproto/runtime/subprocess.h"
#include "libproto/runtime/supervisor.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace std::chrono_literals;

namespace {
SubprocessOptions shell(const std::string& script) {
    SubprocessOptions options;
    options.argv = {"/bin/sh", "-c", script};
    options.environment = {"PATH=/usr/bin:/bin", "GREETING=hello"};
    return options;
}
}   // namespace

TEST_CASE("a subprocess gives its output, status and only the environment it was given") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto result = co_await run_subprocess(shell("echo $GREETING $HOME; echo error >&2; exit 75"), 5s);
        REQUIRE(result);
        CHECK(WIFEXITED(result->status));
        CHECK(WEXITSTATUS(result->status) == 75);
        CHECK(result->output == "hello\nerror\n");
        CHECK_FALSE(result->timed_out);
        SubprocessOptions missing;
        missing.argv = {"/no/such/program"};
        result = co_await run_subprocess(std::move(missing), 5s);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == ENOENT);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a subprocess past its time is killed with its whole group") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto start = std::chrono::steady_clock::now();
        auto result = co_await run_subprocess(shell("sleep 60 & echo $!; sleep 60"), 100ms);
        REQUIRE(result);
        CHECK(result->timed_out);
        CHECK(WIFSIGNALED(result->status));
        CHECK(std::chrono::steady_clock::now() - start < 5s);
        pid_t grandchild = std::stoi(result->output);
        bool gone = false;
        for (int i = 0; i < 100 && !gone; ++i) {
            gone = kill(grandchild, 0) < 0;
            char state = 0;
            if (FILE* stat = fopen(("/proc/" + std::to_string(grandchild) + "/stat").c_str(), "r")) {
                if (fscanf(stat, "%*d %*s %c", &state) == 1 && state == 'Z') gone = true;
                fclose(stat);
            }
            usleep(10000);
        }
        CHECK(gone);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a program that leaves its output open in the background holds nobody up") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto start = std::chrono::steady_clock::now();
        auto result = co_await run_subprocess(shell("echo done; sleep 3 & exit 0"), 10s);
        REQUIRE(result);
        CHECK(result->output == "done\n");
        CHECK(std::chrono::steady_clock::now() - start < 2s);
        result = co_await run_subprocess(shell("yes | head -c 1000000"), 10s);
        REQUIRE(result);
        CHECK(result->output.size() == 64 * 1024);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a forked child has a loop of its own and its exit status is told") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        auto pair = socket_pair();
        Stream mine(std::move(pair->first));
        int theirs = pair->second.get();
        // A wait of the parent's must survive the child's closing of descriptors.
        Scope scope;
        std::string got;
        auto reader = [&]() -> Task<void> {
            auto line = co_await mine.read_line(100, 5s);
            if (line) got = std::string(line->text);
        };
        scope.spawn(reader());
        auto pid = fork_child([theirs] {
            auto talk = [theirs]() -> Task<int> {
                co_await sleep_for(5ms);
                Stream stream{UniqueFd(theirs)};
                stream.put("from the child\n");
                co_await stream.flush();
                int value = co_await blocking([] { return 40; });
                co_return value + 2;
            };
            return Loop::current().run_until_complete(talk());
        });
        REQUIRE(pid);
        pair->second.reset();
        auto status = co_await wait_child(*pid);
        REQUIRE(status);
        CHECK(WEXITSTATUS(*status) == 42);
        co_await scope.join();
        CHECK(got == "from the child");
    };
    loop.run_until_complete(body());
}

TEST_CASE("a signal to a forked child does not reach the parent's loop") {
    Loop loop;
    int ours = 0;
    loop.on_signal(SIGUSR2, [&] { ++ours; });
    auto body = [&]() -> Task<void> {
        auto pid = fork_child([] {
            auto wait = []() -> Task<int> {
                Event event;
                Loop::current().on_signal(SIGUSR2, [&] { event.set(); });
                auto waited = co_await event.wait(5s);
                co_return waited ? 3 : 4;
            };
            return Loop::current().run_until_complete(wait());
        });
        co_await sleep_for(50ms);
        kill(*pid, SIGUSR2);
        auto status = co_await wait_child(*pid);
        REQUIRE(status);
        CHECK(WEXITSTATUS(*status) == 3);
        CHECK(ours == 0);
    };
    loop.run_until_complete(body());
}

TEST_CASE("a child keeps the descriptors that are named, and its own forks find theirs") {
    Loop loop;
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    UniqueFd kept(ends[0]), foreign(ends[1]);
    auto body = [kept = kept.get(), foreign = foreign.get()] {
        if (::fcntl(kept, F_GETFD) < 0) return 1;
        if (::fcntl(foreign, F_GETFD) == 0) return 2;
        // What PAM's modules do: pipes to a helper, which must not lose them to the fork handlers of a library.
        for (int i = 0; i < 8; ++i) {
            int to_helper[2];
            if (::pipe(to_helper) < 0) return 3;
            pid_t helper = ::fork();
            if (helper == 0) {
                ::close(to_helper[1]);
                char c = 0;
                ::alarm(5);
                ::_exit(::read(to_helper[0], &c, 1) == 1 && c == 'x' ? 0 : 1);
            }
            int status = -1;
            if (::write(to_helper[1], "x", 1) != 1 || ::waitpid(helper, &status, 0) != helper || status != 0) return 4;
        }
        return Loop::current().run_until_complete([]() -> Task<int> { co_return co_await sleep_for(1ms) ? 0 : 5; }());
    };
    ChildDescriptors descriptors;
    descriptors.keep = {kept.get()};
    auto pid = fork_child(body, descriptors);
    REQUIRE(pid);
    auto status = loop.run_until_complete(wait_child(*pid));
    REQUIRE(status);
    CHECK(*status == 0);
}

TEST_CASE("a death is told in the words of Postfix's and of Dovecot's master, with the signal's name") {
    using log::Dialect;
    CHECK(describe_death(Dialect::kPostfix, "smtpd", 7, SIGABRT) == "process smtpd pid 7 killed by signal 6 (SIGABRT)");
    CHECK(describe_death(Dialect::kPostfix, "smtpd", 7, 2 << 8) == "process smtpd pid 7 exit status 2");
    CHECK(describe_death(Dialect::kDovecot, "auth", 7, SIGKILL) ==
          "service(auth): child 7 killed with signal 9 (SIGKILL)");
    CHECK(describe_death(Dialect::kDovecot, "auth", 7, 89 << 8) == "service(auth): child 7 returned error 89");
}

TEST_CASE("who dies at once is started again later and later, who lived for a while at once") {
    BackOff back_off;
    Millis waited{0};
    int starts = 0;
    for (; waited < 30s; ++starts) waited += back_off.after(10ms);
    CHECK(starts < 12);
    for (int i = 0; i < 20; ++i) CHECK(back_off.after(10ms) <= BackOff::kLongest);
    CHECK(back_off.throttling());
    CHECK(back_off.after(BackOff::kHealthy) == 0ms);
    CHECK_FALSE(back_off.throttling());
    CHECK(back_off.after(10ms) == BackOff::kFirst);
}

TEST_CASE("a failed fork is tried again, and a child that does not end when it should is killed") {
    Loop loop;
    auto body = []() -> Task<void> {
        Supervisor supervisor(log::Dialect::kPostfix);
        Event running;
        pid_t child = 0;
        int tries = 0;
        Kept kept;
        kept.name = "stubborn";
        kept.start = [&]() -> Expected<pid_t> {
            if (++tries == 1) return fail(EAGAIN, "fork: try again");
            auto pid = fork_child([] {
                ::signal(SIGTERM, SIG_IGN);
                for (;;) ::pause();
                return 0;
            });
            child = pid ? *pid : 0;
            running.set();
            return pid;
        };
        supervisor.keep(std::move(kept));
        const auto ran = co_await running.wait(5s);
        REQUIRE(ran);
        CHECK(tries == 2);
        co_await supervisor.stop(SIGTERM, 50ms);
        CHECK(::kill(child, 0) < 0);
        CHECK(tries == 2);
    };
    loop.run_until_complete(body());
}

TEST_CASE("children that die are started again, a reload replaces them, and all end with stop()") {
    Loop loop;
    auto body = [&]() -> Task<void> {
        int ends[2];
        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        UniqueFd in(ends[0]), out(ends[1]);
        auto serve = [fd = out.get()](int index) {
            Event stop;
            Loop::current().on_signal(SIGTERM, [&] { stop.set(); });
            Loop::current().on_signal(SIGHUP, [&] { stop.set(); });
            std::string line = std::to_string(index) + " " + std::to_string(getpid()) + "\n";
            if (write(fd, line.data(), line.size()) < 0) return 1;
            return Loop::current().run_until_complete(stop.wait()) ? 0 : 1;
        };
        Stream lines(std::move(in));
        Supervisor supervisor(log::Dialect::kPostfix);
        for (int index = 0; index < 2; ++index) {
            Kept kept;
            kept.name = "test";
            kept.start = [&serve, &out, index] {
                ChildDescriptors descriptors;
                descriptors.keep = {out.get()};
                return fork_child([&serve, index] { return serve(index); }, descriptors);
            };
            supervisor.keep(std::move(kept));
        }
        auto next = [&](int& index, int& pid) -> Task<bool> {
            auto line = co_await lines.read_line(100, 5s);
            if (!line) co_return false;
            const std::string text(line->text);
            co_return sscanf(text.c_str(), "%d %d", &index, &pid) == 2;
        };
        std::map<int, int> first, second;
        int index = 0, pid = 0;
        for (int i = 0; i < 2; ++i) {
            const bool said = co_await next(index, pid);
            REQUIRE(said);
            first[index] = pid;
        }
        CHECK(first.size() == 2);
        kill(first[1], SIGKILL);
        const bool again = co_await next(index, pid);
        REQUIRE(again);
        CHECK(index == 1);
        CHECK(pid != first[1]);
        first[1] = pid;

        supervisor.renew(SIGHUP);
        for (int i = 0; i < 2; ++i) {
            const bool said = co_await next(index, pid);
            REQUIRE(said);
            second[index] = pid;
        }
        CHECK(second.size() == 2);
        bool gone = false;
        for (int i = 0; i < 100 && !gone; ++i) {
            co_await sleep_for(20ms);
            gone = kill(first[0], 0) < 0 && kill(first[1], 0) < 0;
        }
        CHECK(gone);
        co_await supervisor.stop(SIGTERM, 5s);
        CHECK(waitpid(-1, nullptr, WNOHANG) < 0);
    };
    loop.run_until_complete(body());
}

namespace {
// What systemd hears of a process that it watches.
struct Watcher {
    UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    std::string path = "/tmp/postcot-watchdog." + std::to_string(::getpid());

    Watcher() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        ::unlink(path.c_str());
        REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    ~Watcher() { ::unlink(path.c_str()); }

    // How often it heard the word until it heard nothing for so long, and at most until `enough`.
    int count(const std::string& word, Millis silence, int enough) {
        int heard = 0;
        pollfd wait{socket.get(), POLLIN, 0};
        while (heard < enough && ::poll(&wait, 1, static_cast<int>(silence.count())) == 1) {
            char text[256];
            ssize_t n = ::recv(socket.get(), text, sizeof text, 0);
            if (n > 0 && std::string(text, static_cast<size_t>(n)).find(word) != std::string::npos) ++heard;
        }
        return heard;
    }
};

// Runs a daemon of its own that systemd watches with a limit of 100 ms; `body` begins on its loop 150 ms after the start.
template <class Body>
pid_t watched_daemon(const Watcher& watcher, Body body) {
    pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setenv("NOTIFY_SOCKET", watcher.path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "100000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    detail::reset_after_fork();
    Loop loop;
    notify_ready();
    notify_ready();   // a reload: still one beat every 50 ms
    loop.run_until_complete([](Body b) -> Task<void> {
        (void)co_await sleep_for(150ms);
        b();
        (void)co_await sleep_for(Millis(60'000));
    }(body));
    ::_exit(0);
}
}   // namespace

TEST_CASE("the loop of a watched daemon answers systemd's watchdog, until it is stuck") {
    CHECK(watchdog_interval() == Millis(0));
    for (bool stuck : {false, true}) {
        Watcher watcher;
        pid_t pid = watched_daemon(watcher, [stuck] {
            while (stuck) ::pause();
        });
        REQUIRE(pid > 0);
        int heard = watcher.count("WATCHDOG=1", 500ms, 20);
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        if (stuck) {
            CHECK(heard >= 1);   // before
            CHECK(heard <= 4);
        } else {
            CHECK(heard == 20);
        }
    }
}

TEST_CASE("a child of a watched daemon does not answer for it") {
    Watcher watcher;
    pid_t pid = watched_daemon(watcher, [] {
        auto child = fork_child([] {
            notify_ready();
            Loop::current().run_until_complete([]() -> Task<void> { (void)co_await sleep_for(Millis(60'000)); }());
            return 0;
        });
        while (child) ::pause();
    });
    REQUIRE(pid > 0);
    int heard = watcher.count("WATCHDOG=1", 500ms, 20);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    CHECK(heard <= 4);
}
