#include "queued/remote/agent.h"

#include <unistd.h>

#include <map>
#include <random>

#include "libproto/runtime/log.h"
#include "libproto/runtime/sandbox.h"
#include "queued/local/transport_config.h"
#include "queued/remote/delivery.h"

namespace postcot::queued {

namespace {

constexpr uint32_t kMaxJobs = 1000;

// smtp_tls_protocols: ">=TLSv1.2", or the old "!SSLv2, !SSLv3".
std::string lowest_protocol(const std::vector<std::string>& words) {
    std::string lowest = "TLSv1";
    for (const auto& word : words) {
        if (word.compare(0, 2, ">=") == 0)
            lowest = word.substr(2);
        else if (word == "!TLSv1" && lowest == "TLSv1")
            lowest = "TLSv1.1";
        else if (word == "!TLSv1.1" && lowest == "TLSv1.1")
            lowest = "TLSv1.2";
    }
    return lowest;
}

std::unique_ptr<RemoteTransport> open_transport(const config::MainCf& main, bool lmtp) {
    auto out = std::make_unique<RemoteTransport>(main, lmtp);
    std::string prefix = lmtp ? "lmtp_" : "smtp_";
    out->queue_directory = main.str("queue_directory");
    auto maps = [&](const std::string& parameter, table::Maps& into) {
        auto opened = table::Maps::open(main.str(parameter), main, parameter);
        if (opened)
            into = std::move(*opened);
        else
            out->config_error = opened.error().text;
    };
    if (out->settings.sasl_enable) maps(prefix + "sasl_password_maps", out->sasl_passwords);
    maps(prefix + "tls_policy_maps", out->tls_policies);

    TlsClientOptions tls;
    tls.ca_file = main.str(prefix + "tls_CAfile");
    tls.ca_path = main.str(prefix + "tls_CApath");
    tls.cert_file = main.str(prefix + "tls_cert_file");
    tls.key_file = main.str(prefix + "tls_key_file");
    tls.min_protocol = lowest_protocol(main.list(prefix + "tls_protocols"));
    bool wanted = !out->settings.tls_security_level.empty() && out->settings.tls_security_level != "none";
    if (!wanted && out->tls_policies.empty()) return out;
    auto open = [&](std::shared_ptr<TlsContext>& into) {
        auto context = TlsContext::client(tls);
        if (context)
            into = std::move(*context);
        else
            log::warning("TLS is not available: {}", context.error().text);
    };
    open(out->tls);
    tls.verify = true;
    tls.min_protocol = lowest_protocol(main.list(prefix + "tls_mandatory_protocols"));
    open(out->verifying_tls);
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
    std::map<std::string, std::unique_ptr<RemoteTransport>> transports_;   // by master.cf service
    std::unique_ptr<dns::Resolver> resolver_;
    Scope scope_;
    Scope quits_;
    ConnectionCache cache_;
};

Expected<void> RemoteAgent::prepare() {
    TransportConfigs configs(config_);
    for (const auto& service : config_.master.services()) {
        if (service.type != "unix") continue;
        bool lmtp = service.command == "lmtp";
        if (!lmtp && service.command != "smtp" && service.command != "relay") continue;
        auto& transport = transports_[service.name] = open_transport(configs.of(service.name), lmtp);
        transport->settings.read_flags(service.arguments);
        if (!transport->settings.wrong_flags.empty() && transport->config_error.empty())
            transport->config_error =
                "master.cf, service " + service.name + ": unknown flag or argument: " + transport->settings.wrong_flags;
    }
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

int run_remote_agent(ipc::Channel channel, AgentConfig config) {
    RemoteAgent agent(std::move(channel), std::move(config));
    if (auto ready = agent.prepare(); !ready) {
        log::error("{}", ready.error().text);
        return 75;   // EX_TEMPFAIL
    }
    return Loop::current().run_until_complete(agent.run());
}

}   // namespace postcot::queued
