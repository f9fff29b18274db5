// passdb pam and passdb shadow: asked of root workers.
#include "authd/drivers/drivers.h"
#include "authd/worker/pool.h"
#include "libproto/runtime/log.h"

namespace postcot::authd {

namespace {

// "session=yes setcred=yes failure_show_msg=yes max_requests=100 cache_key=%u dovecot"; the last word is the service: a name, "*" or "%s".
struct PamArgs {
    bool session = false, setcred = false, show_message = false;
    std::string service = "dovecot";
};

Expected<PamArgs> parse_pam_args(const Database& database) {
    PamArgs args;
    for (const auto& field : parse_fields(database.args)) {
        std::string value = field.value.value_or(std::string());
        bool yes = value.empty() || value == "yes";
        if (field.name == "session" || field.name == "-session")
            args.session = yes;
        else if (field.name == "setcred")
            args.setcred = yes;
        else if (field.name == "failure_show_msg")
            args.show_message = yes;
        else if (field.name == "cache_key")
            log::warning("{}: passdb pam: cache_key is ignored: there is no cache", database.where);
        else if (field.name == "blocking" || field.name == "max_requests")
            continue;   // always in workers, always renewed
        else if (!field.value)
            args.service = field.name == "*" ? "%s" : field.name;
        else
            return fail(0, database.where + ": passdb pam: Unknown setting: " + field.name);
    }
    return args;
}

class WorkerPassDb final : public PassDb {
  public:
    WorkerPassDb(const Database& database, WorkerPool& workers, PamArgs pam)
        : PassDb(database), workers_(workers), pam_(std::move(pam)) {}

    Task<Result> verify(Request& request, std::string password) override {
        if (request.skip_password) co_return co_await lookup(request);
        co_return co_await ask(request, std::move(password), true);
    }
    Task<Result> lookup(Request& request) override {
        if (name() == "pam") co_return Result::kNoLookup;
        co_return co_await ask(request, std::string(), false);
    }

  private:
    Task<Result> ask(Request& request, std::string password, bool check_password) {
        Job job;
        job.driver = name();
        job.user = request.user;
        job.password = std::move(password);
        job.remote_address = request.rip;
        job.check_password = check_password;
        if (name() == "pam") {
            auto service = request.expand(pam_.service);
            // A service is a file name under /etc/pam.d; "service=" comes from the client.
            if (!service || service->empty() || service->find('/') != std::string::npos) {
                request.log_error(name(), "bad PAM service name");
                co_return Result::kInternalFailure;
            }
            job.pam_service = std::move(*service);
            job.session = pam_.session;
            job.setcred = pam_.setcred;
            job.show_message = pam_.show_message;
        }
        auto answer = co_await workers_.run(std::move(job));
        if (!answer.log.empty()) {
            answer.log_error ? request.log_error(name(), answer.log) : request.log_verbose(name(), answer.log);
        }
        if (!answer.message.empty()) request.failure_reason = answer.message;
        if (answer.result == Result::kOk && !answer.user.empty())
            (void)request.add_passdb_field(name(), "user", answer.user);
        co_return answer.result;
    }

    WorkerPool& workers_;
    PamArgs pam_;
};

}   // namespace

Expected<std::unique_ptr<PassDb>> open_worker_passdb(const Database& database, WorkerPool& workers) {
    PamArgs pam;
    if (database.driver == "pam") {
        auto args = parse_pam_args(database);
        if (!args) return fail(args.error());
        pam = std::move(*args);
    }
    return std::make_unique<WorkerPassDb>(database, workers, std::move(pam));
}

}   // namespace postcot::authd
