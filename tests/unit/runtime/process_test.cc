#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "libproto/runtime/daemon.h"
#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"
#include "libproto/runtime/subprocess.h"
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

TEST_CASE("workers that die are started again, and all end with their owner") {
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
        pid_t restarted = 0;
        {
            Workers workers("test", 2, serve);
            workers.start();
            std::map<int, pid_t> pids;
            for (int i = 0; i < 2; ++i) {
                auto line = co_await lines.read_line(100, 5s);
                REQUIRE(line);
                int index = 0, pid = 0;
                REQUIRE(sscanf(std::string(line->text).c_str(), "%d %d", &index, &pid) == 2);
                pids[index] = pid;
            }
            CHECK(pids.size() == 2);
            kill(pids[1], SIGKILL);
            auto line = co_await lines.read_line(100, 5s);
            REQUIRE(line);
            int index = 0;
            REQUIRE(sscanf(std::string(line->text).c_str(), "%d %d", &index, &restarted) == 2);
            CHECK(index == 1);
            CHECK(restarted != pids[1]);

            workers.renew();
            for (int i = 0; i < 2; ++i) {
                line = co_await lines.read_line(100, 5s);
                REQUIRE(line);
            }
            bool gone = false;
            for (int i = 0; i < 100 && !gone; ++i) {
                co_await sleep_for(20ms);
                gone = kill(pids[0], 0) < 0 && kill(restarted, 0) < 0;
            }
            CHECK(gone);
        }
        CHECK(waitpid(-1, nullptr, WNOHANG) < 0);
    };
    loop.run_until_complete(body());
}
