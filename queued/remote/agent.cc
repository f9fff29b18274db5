#include "queued/remote/agent.h"

#include <unistd.h>

#include <map>
#include <random>

#include "libproto/runtime/log.h"
#include "libproto/runtime/sandbox.h"
#include "queued/local/transport_config.h"
#include "queued/remote/delivery.h"
#include "queued/remote/transport.h"

namespace postcot::queued {

namespace {

constexpr uint32_t kMaxJobs = 1000;

using Transports = std::map<std::string, std::unique_ptr<RemoteTransport>>;   // by master.cf service

Transports open_transports(const AgentConfig& config) {
    Transports out;
    TransportConfigs configs(config);
    for (const auto& service : config.master.services()) {
        if (service.type != "unix") continue;
        bool lmtp = service.command == "lmtp";
        if (!lmtp && service.command != "smtp" && service.command != "relay") continue;
        auto& transport = out[service.name] = RemoteTransport::open(configs.of(service.name), lmtp);
        transport->settings.read_flags(service.arguments);
        if (!transport->settings.wrong_flags.empty() && transport->config_error.empty())
            transport->config_error =
                "master.cf, service " + service.name + ": unknown flag or argument: " + transport->settings.wrong_flags;
    }
    return out;
}

class RemoteAgent {
  public:
    RemoteAgent(ipc::Channel channel, AgentConfig config)
        : channel_(std::move(channel)), config_(std::move(config)), random_(std::random_device{}()), cache_(quits_) {}

    Expected<void> prepare();
    Task<int> run();

  private:
    Task<void> deliver(ipc::Deliver job, UniqueFd fd);

    ipc::Channel channel_;
    AgentConfig config_;
    std::mt19937 random_;
    Transports transports_;
    std::unique_ptr<dns::Resolver> resolver_;
    Scope scope_;
    Scope quits_;
    ConnectionCache cache_;
};

Expected<void> RemoteAgent::prepare() {
    transports_ = open_transports(config_);
    auto resolver = dns::Resolver::open();
    if (!resolver) return fail(resolver.error());
    resolver_ = std::move(*resolver);

    Sandbox sandbox;
    Account account;
    if (running_as_root()) {
        auto owner = find_account(config_.main.str("mail_owner"));
        if (!owner) return fail(owner.error());
        account = *owner;
        sandbox.account = &account;
    }
    return enter_sandbox(sandbox);
}

Task<void> RemoteAgent::deliver(ipc::Deliver job, UniqueFd fd) {
    std::string head = std::move(job.head);
    ipc::DeliverContent content(std::move(head), std::move(fd), job.offset, job.length);
    auto transport = transports_.find(job.transport);
    if (transport == transports_.end()) {
        ipc::Delivered refused;
        refused.job = job.job;
        for (const auto& recipient : job.recipients) {
            ipc::RecipientResult result;
            result.index = recipient.index;
            result.dsn = "4.3.5";
            result.text = "mail transport unavailable";
            result.relay = "none";
            refused.results.push_back(std::move(result));
        }
        channel_.post(ipc::Channel::pack(refused));
        co_return;
    }
    auto random = [this](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); };
    RemoteDelivery delivery(*transport->second, *resolver_, cache_, random);
    ipc::Delivered delivered = co_await delivery.run(job, content);
    channel_.post(ipc::Channel::pack(delivered));
}

Task<int> RemoteAgent::run() {
    ipc::AgentHello hello;
    hello.max_jobs = kMaxJobs;
    hello.pid = static_cast<uint32_t>(getpid());
    channel_.post(ipc::Channel::pack(hello));
    Loop::current().every(Millis(500), [this] { cache_.expire(); });
    for (;;) {
        auto frame = co_await channel_.receive();
        if (!frame || frame->type == ipc::AgentStop::kType) break;
        auto job = ipc::Channel::unpack<ipc::Deliver>(*frame);
        if (!job) {
            log::warning("delivery request: {}", job.error().text);
            continue;
        }
        UniqueFd fd;
        if (!frame->fds.empty()) fd = std::move(frame->fds.front());
        scope_.spawn(deliver(std::move(*job), std::move(fd)));
    }
    co_await scope_.join();
    cache_.expire(true);
    co_await quits_.join();
    // The manager hangs up when it has read every answer: ending first would lose what the socket had no room for.
    channel_.post(ipc::Channel::pack(ipc::AgentStop{}));
    for (;;) {
        auto last = co_await channel_.receive(Millis(5000));
        if (!last) break;
    }
    co_return 0;
}

}   // namespace

std::vector<std::string> remote_problems(const AgentConfig& config) {
    std::vector<std::string> out;
    for (const auto& [name, transport] : open_transports(config)) {
        const auto* service = config.master.find(name, "unix");
        const std::string where =
            config.master.file() + ": line " + std::to_string(service ? service->line : 0) + ": service " + name + ": ";
        if (!transport->config_error.empty()) out.push_back(where + transport->config_error + ": its mail is deferred");
        if (transport->tls_error.empty()) continue;
        const auto level = parse_tls_level(transport->settings.tls_security_level);
        const bool opportunistic = level && *level <= TlsLevel::kMay && transport->tls_policies.empty();
        out.push_back(where + "TLS is not available: " + transport->tls_error +
                      (opportunistic ? ": its mail goes in the clear" : ": mail that needs it is deferred"));
    }
    return out;
}

int run_remote_agent(ipc::Channel channel, AgentConfig config) {
    RemoteAgent agent(std::move(channel), std::move(config));
    if (auto ready = agent.prepare(); !ready) {
        log::error("{}", ready.error().text);
        return 75;   // EX_TEMPFAIL
    }
    return Loop::current().run_until_complete(agent.run());
}

}   // namespace postcot::queued
