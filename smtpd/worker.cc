#include "smtpd/worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "libproto/runtime/log.h"
#include "libproto/runtime/loop_inl.h"
#include "smtpd/session.h"
#include "smtpd/tls_settings.h"

namespace postcot::smtpd {
namespace {

constexpr Millis kDrainTime{20000};   // what sessions get to end their message in

size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65536);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<size_t>(limit.rlim_cur);
}

}   // namespace

Worker::Worker(const Configuration& configuration, ClientCounters& counters, int index)
    : configuration_(configuration), counters_(counters), index_(index), max_sessions_(raise_descriptor_limit()) {
    // A session may hold two descriptors: its connection and a large message's file.
    max_sessions_ = max_sessions_ > 256 ? (max_sessions_ - 128) / 2 : 64;
}

Worker::~Worker() = default;

Expected<void> Worker::open(const std::vector<Endpoint>& endpoints) {
    auto names = names_.open();
    if (!names) return names;
    const auto& main = configuration_.main;
    queue_ = std::make_unique<ipc::QueueClient>(main.str("queue_directory") + "/private/intake",
                                                main.boolean("enable_long_queue_ids"));
    submitter_ = queue_.get();
    endpoints_ = endpoints;
    for (const auto& endpoint : endpoints) {
        auto runtime = std::make_unique<ServiceRuntime>();
        runtime->service = endpoint.service;
        auto tables = Tables::open(*endpoint.service);
        if (!tables) return fail(std::move(tables.error()));
        runtime->tables = *tables;
        auto restrictions = Restrictions::open(endpoint.service, *tables, names_);
        if (!restrictions) return fail(std::move(restrictions.error()));
        runtime->restrictions = std::move(*restrictions);
        auto tls = open_tls(*endpoint.service);
        if (!tls) return fail(std::move(tls.error()));
        runtime->tls = *tls;
        if (endpoint.service->sasl_enabled) {
            const auto& path = endpoint.service->sasl_path;
            auto existing =
                std::find_if(auth_.begin(), auth_.end(), [&](const auto& entry) { return entry.first == path; });
            if (existing == auth_.end()) {
                auth_.emplace_back(path, std::make_unique<ipc::AuthClient>(auth_scope_, path));
                existing = auth_.end() - 1;
            }
            runtime->auth = existing->second.get();
        }
        runtime->listening_fd = endpoint.socket->get();
        runtimes_.push_back(std::move(runtime));
    }
    return {};
}

Task<void> Worker::serve(ServiceRuntime& runtime, Accepted accepted) {
    Session session(*this, runtime, std::move(accepted));
    co_await session.run();
    room_.set();
    changed_.set();
}

Task<void> Worker::accept_loop(ServiceRuntime& runtime) {
    Listener listener(UniqueFd(::dup(runtime.listening_fd)));
    for (;;) {
        while (sessions_.size() >= max_sessions_) {
            room_.reset();
            auto waited = co_await room_.wait();
            if (!waited) co_return;
        }
        auto accepted = co_await listener.accept();
        if (!accepted) {
            if (accepted.error().code == ECANCELED) co_return;
            log::warning_as(runtime.service->ident, "accept: {}", accepted.error().text);
            auto slept = co_await sleep_for(Millis(100));
            if (!slept) co_return;
            continue;
        }
        sessions_.spawn(serve(runtime, std::move(*accepted)));
    }
}

Task<void> Worker::main_task() {
    for (auto& runtime : runtimes_) accept_scope_.spawn(accept_loop(*runtime));
    while (!stopping_ && !retired_) {
        changed_.reset();
        (void)co_await changed_.wait();
    }
    accept_scope_.cancel();
    co_await accept_scope_.join();
    while (!stopping_ && sessions_.size() > 0) {
        changed_.reset();
        (void)co_await changed_.wait(Millis(1000));   // the last one leaves its scope after it has set the event
    }
    drain_.cancel();
    // Sessions in the middle of a message may finish it; then they are cut.
    for (Millis waited{0}; sessions_.size() > 0 && waited < kDrainTime; waited += Millis(50))
        (void)co_await sleep_for(Millis(50));
    sessions_.cancel();
    co_await sessions_.join();
    auth_scope_.cancel();
    co_await auth_scope_.join();
    co_await queue_->close();
}

int Worker::run() {
    counters_.start_worker(index_);
    auto& loop = Loop::current();
    for (int signum : {SIGTERM, SIGINT})
        loop.on_signal(signum, [this] {
            stopping_ = true;
            changed_.set();
        });
    loop.on_signal(SIGHUP, [this] {
        retired_ = true;
        changed_.set();
    });
    loop.run_until_complete(main_task());
    return 0;
}

void Worker::serve_one(std::shared_ptr<const Service> service, UniqueFd connection, ipc::Submitter& submitter) {
    submitter_ = &submitter;
    ServiceRuntime runtime;
    runtime.service = service;
    runtime.tables = std::make_shared<const Tables>();   // none: the caller may not be allowed to read them
    runtime.restrictions = Restrictions::none(service, runtime.tables, names_);
    Accepted accepted;
    accepted.fd = std::move(connection);
    accepted.peer.storage.ss_family = accepted.local.storage.ss_family = AF_UNIX;
    Loop::current().run_until_complete(serve(runtime, std::move(accepted)));
}

Expected<void> check_configuration(const Configuration& configuration) {
    if (configuration.services.empty()) return fail(EINVAL, "no smtpd or lmtpd service in master.cf");
    HostNames names;
    for (const auto& service : configuration.services) {
        auto tables = Tables::open(*service);
        if (!tables) return fail(configuration.main.located(std::move(tables.error())));
        auto restrictions = Restrictions::open(service, *tables, names);
        if (!restrictions) return fail(configuration.main.located(std::move(restrictions.error())));
        auto tls = open_tls(*service);
        if (!tls) return fail(configuration.main.located(std::move(tls.error())));
    }
    return {};
}

}   // namespace postcot::smtpd
