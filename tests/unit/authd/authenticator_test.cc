#include "authd/authenticator.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authd/failure_queue.h"
#include "authd/worker/pool.h"
#include "authd/worker/worker.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/net.h"
#include "tests/unit/catch.h"

using namespace postcot;
using namespace postcot::authd;

namespace {

// Answers what it is told; counts how often it was asked.
class FakePassDb final : public PassDb {
  public:
    FakePassDb(const Database& database, Result result, int& asked)
        : PassDb(database), result_(result), asked_(asked) {}
    Task<Result> verify(Request& request, std::string) override {
        ++asked_;
        request.add_passdb_field("fake", "seen", "verify");
        co_return request.skip_password&& result_ == Result::kMismatch ? Result::kOk : result_;
    }
    Task<Result> lookup(Request&) override {
        ++asked_;
        co_return result_;
    }

  private:
    Result result_;
    int& asked_;
};

struct Chain {
    Settings settings;
    std::vector<Result> results;
    int asked[8] = {};

    Database& add(Result result) {
        settings.username_chars.set();
        settings.passdbs.reserve(8);   // the databases refer to them
        settings.passdbs.emplace_back();
        results.push_back(result);
        return settings.passdbs.back();
    }
    Result login(Request& request) {
        std::vector<std::unique_ptr<PassDb>> dbs;
        for (size_t i = 0; i < results.size(); ++i)
            dbs.push_back(std::make_unique<FakePassDb>(settings.passdbs[i], results[i], asked[i]));
        Authenticator authenticator(settings, std::move(dbs), {});
        Loop loop;
        request.mechanism = "PLAIN";
        return loop.run_until_complete(authenticator.login(request, Credentials{"ann", "", "secret"}));
    }
    Result login() {
        Request request(settings);
        return login(request);
    }
};

}   // namespace

TEST_CASE("passdbs: the first that says yes ends the search, an unknown user or wrong password goes on") {
    Chain chain;
    chain.add(Result::kUserUnknown);
    chain.add(Result::kMismatch);
    chain.add(Result::kOk);
    chain.add(Result::kOk);
    Request request(chain.settings);
    CHECK(chain.login(request) == Result::kOk);
    CHECK(chain.asked[2] == 1);
    CHECK(chain.asked[3] == 0);
    CHECK(request.reply.get("seen") == "verify");
    CHECK(request.reply.all().size() == 1);   // fields of those that said no are gone
}

TEST_CASE("passdbs: no yes anywhere is a no; a broken one makes it temporary") {
    Chain none;
    none.add(Result::kMismatch);
    none.add(Result::kUserUnknown);
    CHECK(none.login() == Result::kMismatch);
    Chain broken;
    broken.add(Result::kInternalFailure);
    broken.add(Result::kUserUnknown);
    CHECK(broken.login() == Result::kInternalFailure);
    Chain saved;
    saved.add(Result::kInternalFailure);
    saved.add(Result::kOk);
    CHECK(saved.login() == Result::kOk);
    Chain empty;
    empty.settings.username_chars.set();
    CHECK(empty.login() == Result::kUserUnknown);
}

TEST_CASE("passdbs: result_ rules") {
    Chain must_be_both;   // result_success = continue, result_failure = return-fail
    must_be_both.add(Result::kOk).on_success = Database::Rule::kContinue;
    must_be_both.add(Result::kUserUnknown);
    CHECK(must_be_both.login() == Result::kUserUnknown);
    CHECK(must_be_both.asked[1] == 1);
    Chain stops;
    stops.add(Result::kMismatch).on_failure = Database::Rule::kReturnFail;
    stops.add(Result::kOk);
    CHECK(stops.login() == Result::kMismatch);
    CHECK(stops.asked[1] == 0);
    Chain adds_fields;   // continue-ok: the second is asked without the password
    adds_fields.add(Result::kOk).on_success = Database::Rule::kContinueOk;
    adds_fields.add(Result::kMismatch);
    CHECK(adds_fields.login() == Result::kOk);
    CHECK(adds_fields.asked[1] == 1);
}

TEST_CASE("passdbs: deny, skip, mechanisms and username_filter") {
    Chain denied;
    denied.add(Result::kOk);
    denied.add(Result::kOk).deny = true;
    CHECK(denied.login() == Result::kMismatch);
    CHECK(denied.asked[0] == 0);
    Chain unsure;   // who cannot be looked up in the deny list does not get in
    unsure.add(Result::kInternalFailure).deny = true;
    unsure.add(Result::kOk);
    CHECK(unsure.login() == Result::kInternalFailure);
    Chain filtered;
    filtered.add(Result::kOk).mechanisms = {"LOGIN"};
    filtered.add(Result::kOk).username_filter = {"*", "!a*"};
    filtered.add(Result::kOk).skip = Database::Skip::kUnauthenticated;
    CHECK(filtered.login() == Result::kUserUnknown);
}

TEST_CASE("logins: a foreign authorization identity and a NUL in the password are refused without asking") {
    Chain chain;
    chain.add(Result::kOk);
    std::vector<std::unique_ptr<PassDb>> dbs;
    dbs.push_back(std::make_unique<FakePassDb>(chain.settings.passdbs[0], Result::kOk, chain.asked[0]));
    Authenticator authenticator(chain.settings, std::move(dbs), {});
    Loop loop;
    Request one(chain.settings), two(chain.settings), three(chain.settings);
    CHECK(loop.run_until_complete(authenticator.login(one, Credentials{"ann", "root", "secret"})) == Result::kMismatch);
    CHECK(loop.run_until_complete(authenticator.login(two, Credentials{"ann", "", std::string("a\0b", 3)})) ==
          Result::kMismatch);
    CHECK(chain.asked[0] == 0);
    CHECK(loop.run_until_complete(authenticator.login(three, Credentials{"ann", "ann", "secret"})) == Result::kOk);
}

TEST_CASE("auth_failure_delay: failures wait and leave together") {
    Loop loop;
    auto whole = [](int& left) -> Task<Millis> {
        Scope scope, helpers;
        FailureQueue queue(helpers, Millis(60));
        auto start = std::chrono::steady_clock::now();
        auto one = [](FailureQueue& failures, int& count) -> Task<void> {
            co_await failures.wait();
            ++count;
        };
        for (int i = 0; i < 10; ++i) scope.spawn(one(queue, left));
        co_await scope.join();
        auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - start);
        co_await helpers.join();
        co_return took;
    };
    int left = 0;
    auto took = loop.run_until_complete(whole(left));
    CHECK(left == 10);
    CHECK(took >= Millis(55));
    CHECK(took < Millis(1000));
}

TEST_CASE("worker pool: a worker that does not answer is killed, the next job gets a new one") {
    Loop loop;
    std::vector<pid_t> killed;
    int spawned = 0;
    // The first worker never answers; the second is a real one.
    auto spawn = [&spawned]() -> Task<Expected<WorkerHandle>> {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) co_return fail(errno, "socketpair");
        int theirs = pair[1];
        bool stuck = spawned++ == 0;
        auto body = [theirs, stuck] {
            if (stuck) {
                ::sleep(5);
                return 0;
            }
            return run_worker(theirs);
        };
        auto pid = fork_child(body);
        ::close(theirs);
        if (!pid) co_return fail(pid.error());
        WorkerHandle worker;
        worker.socket = UniqueFd(pair[0]);
        worker.pid = static_cast<uint32_t>(*pid);
        co_return std::move(worker);
    };
    WorkerPool pool(1, Millis(200), spawn, [&killed](uint32_t pid) {
        killed.push_back(static_cast<pid_t>(pid));
        ::kill(static_cast<pid_t>(pid), SIGKILL);
    });
    Job job;
    job.driver = "nosuch";
    auto first = loop.run_until_complete(pool.run(job));
    CHECK(first.result == Result::kInternalFailure);
    CHECK(first.log.find("did not answer in time") != std::string::npos);
    CHECK(killed.size() == 1);
    auto second = loop.run_until_complete(pool.run(job));
    CHECK(second.log == "unknown driver");
    auto third = loop.run_until_complete(pool.run(job));
    CHECK(third.log == "unknown driver");
    CHECK(spawned == 2);
    CHECK(pool.busy() == 0);
}
