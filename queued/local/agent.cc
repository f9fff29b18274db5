#include "queued/local/agent.h"

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>

#include "libproto/ipc/delivery.h"
#include "libproto/runtime/log.h"
#include "queued/local/child.h"
#include "queued/local/children.h"
#include "queued/local/context_seal.h"
#include "queued/local/local.h"
#include "queued/local/pipe.h"
#include "queued/local/results.h"
#include "queued/local/transport_config.h"
#include "queued/local/user.h"
#include "queued/local/virtual.h"

namespace postcot::queued {

namespace {

constexpr uint32_t kMaxJobs = 512;
constexpr size_t kMaxChildren = 64;
constexpr Millis kChildIdle{100'000};   // Postfix's max_idle

// One Deliver whose recipients are answered one by one.
struct Pending {
    ipc::Delivered delivered;
    size_t left = 0;
};

class LocalAgent {
  public:
    LocalAgent(ipc::Channel channel, AgentConfig config)
        : channel_(std::move(channel)),
          config_(std::move(config)),
          configs_(config_),
          seal_(ContextSeal::open(config_.main.str("data_directory"))),
          children_(scope_, {channel_.fd()}, kMaxChildren, kChildIdle, [this](ChildRights rights, UniqueFd socket) {
              return run_child(rights, std::move(socket), config_);
          }) {}

    Task<int> run();

  private:
    void route(ipc::Deliver deliver, UniqueFd fd);
    void carry_out(const std::shared_ptr<Pending>& pending, ipc::Deliver deliver, UniqueFd fd, Decision decision);
    void answer(const std::shared_ptr<Pending>& pending, std::vector<ipc::RecipientResult> results);
    Decision decide(const std::string& command, const ipc::Deliver& deliver, const ipc::DeliverRecipient& recipient);
    LocalUsers* local_users(const std::string& transport);
    VirtualMailboxes* virtual_mailboxes(const std::string& transport);

    ipc::Channel channel_;
    AgentConfig config_;
    TransportConfigs configs_;
    ContextSeal seal_;
    Scope scope_;
    Children children_;
    std::map<std::string, std::unique_ptr<LocalUsers>> locals_;
    std::map<std::string, std::unique_ptr<VirtualMailboxes>> virtuals_;
};

UniqueFd duplicate(const UniqueFd& fd) { return UniqueFd(fd ? fcntl(fd.get(), F_DUPFD_CLOEXEC, 0) : -1); }

LocalUsers* LocalAgent::local_users(const std::string& transport) {
    if (auto known = locals_.find(transport); known != locals_.end()) return known->second.get();
    auto opened = LocalUsers::open(configs_.of(transport));
    if (!opened) {
        log::warning("{}", opened.error().text);
        return nullptr;   // tried again with the next recipient
    }
    return (locals_[transport] = std::move(*opened)).get();
}

VirtualMailboxes* LocalAgent::virtual_mailboxes(const std::string& transport) {
    if (auto known = virtuals_.find(transport); known != virtuals_.end()) return known->second.get();
    auto opened = VirtualMailboxes::open(configs_.of(transport));
    if (!opened) {
        log::warning("{}", opened.error().text);
        return nullptr;
    }
    return (virtuals_[transport] = std::move(*opened)).get();
}

// error(8), retry(8): "5.1.1 reason" or "reason".
ipc::RecipientResult from_nexthop(const std::string& nexthop, std::string dsn, bool final) {
    std::string text = nexthop;
    size_t space = text.find_first_of(" \t");
    std::string first = text.substr(0, space);
    if (first.size() >= 5 && (first[0] == '4' || first[0] == '5') && first[1] == '.' &&
        first.find_first_not_of("0123456789.") == std::string::npos) {
        dsn = first;
        dsn[0] = final ? '5' : '4';
        text = space == std::string::npos ? "" : text.substr(text.find_first_not_of(" \t", space));
    }
    auto result = final ? bounced(dsn, text) : deferred(dsn, text);
    result.relay = "none";
    return result;
}

Decision LocalAgent::decide(const std::string& command, const ipc::Deliver& deliver,
                            const ipc::DeliverRecipient& recipient) {
    if (command == "virtual") {
        auto* mailboxes = virtual_mailboxes(deliver.transport);
        if (!mailboxes) return decided(deferred("4.3.5", "mail system configuration error"));
        return mailboxes->decide(recipient.recipient);
    }
    if (command == "local") {
        auto* users = local_users(deliver.transport);
        if (!users) return decided(deferred("4.3.5", "mail system configuration error"));
        return users->decide(deliver, recipient);
    }
    // error(8) is told what to do by its service's name.
    if (deliver.transport == "retry") return decided(from_nexthop(deliver.nexthop, "4.0.0", false));
    if (command == "error") return decided(from_nexthop(deliver.nexthop, "5.0.0", true));
    if (command == "discard") {
        auto result = sent(deliver.nexthop.empty() ? "delivered" : deliver.nexthop);
        result.relay = "none";
        return decided(std::move(result));
    }
    log::warning("mail transport {} is of an unknown kind: {}", deliver.transport, command);
    auto result = deferred("4.3.5", "mail transport unavailable");
    result.relay = "none";
    return decided(std::move(result));
}

void LocalAgent::answer(const std::shared_ptr<Pending>& pending, std::vector<ipc::RecipientResult> results) {
    pending->left -= results.size();
    for (auto& result : results) {
        for (auto& expansion : result.expansions)
            if (!expansion.context.empty()) expansion.context = seal_.seal(expansion.context);
        pending->delivered.results.push_back(std::move(result));
    }
    if (pending->left == 0) channel_.post(ipc::Channel::pack(pending->delivered));
}

// sendmail -bv: what a child would do. A .forward must be read to know; that is the child's business.
std::optional<ipc::RecipientResult> would_do(const Action& action) {
    switch (action.kind) {
        case Action::Kind::kMailbox:
            if (!action.virtual_mailbox) return sent("delivers to file: " + action.path);
            return sent(action.path.back() == '/' ? "delivers to maildir" : "delivers to mailbox");
        case Action::Kind::kCommand: return sent("delivers to command: " + action.path);
        case Action::Kind::kPipe: return sent("delivers to command: " + action.argv.front());
        default: return std::nullopt;
    }
}

void LocalAgent::carry_out(const std::shared_ptr<Pending>& pending, ipc::Deliver deliver, UniqueFd fd,
                           Decision decision) {
    if (!decision.result && deliver.verify) decision.result = would_do(decision.action);
    if (decision.result) {
        if (decision.result->relay.empty()) decision.result->relay = deliver.transport;
        std::vector<ipc::RecipientResult> results;
        for (const auto& recipient : deliver.recipients) {
            decision.result->index = recipient.index;
            results.push_back(*decision.result);
        }
        answer(pending, std::move(results));
        return;
    }
    deliver.recipients.front().context = decision.action.encode();
    ChildRights rights = decision.rights;
    // Kept for a job that comes back to be given to another child.
    bool may_come_back = decision.action.kind == Action::Kind::kUser;
    auto again = std::make_shared<std::pair<ipc::Deliver, UniqueFd>>();
    if (may_come_back) {
        again->first = deliver;
        again->second = duplicate(fd);
    }
    children_.give(rights, std::move(deliver), std::move(fd), [this, pending, rights, again](ipc::Delivered delivered) {
        for (auto& result : delivered.results) {
            if (result.outcome != ipc::Outcome::kExpanded) continue;
            LocalUsers* users = local_users(again->first.transport.empty() ? "local" : again->first.transport);
            if (is_redispatch(result) && users && !again->first.recipients.empty()) {
                Decision next = users->redispatched(result, rights);
                carry_out(pending, std::move(again->first), std::move(again->second), std::move(next));
                return;
            }
            if (users)
                users->restrict_to(rights, result);
            else
                result = deferred("4.3.5", "mail system configuration error");
        }
        answer(pending, std::move(delivered.results));
    });
}

void LocalAgent::route(ipc::Deliver deliver, UniqueFd fd) {
    for (auto& recipient : deliver.recipients) {
        if (recipient.context.empty()) continue;
        auto context = seal_.unseal(recipient.context);
        if (!context) log::warning("{}: {}: {}", deliver.queue_id, recipient.recipient.address, context.error().text);
        // Without it the recipient is one like any other: looked up again.
        recipient.context = context ? std::move(*context) : std::string();
    }
    auto pending = std::make_shared<Pending>();
    pending->delivered.job = deliver.job;
    pending->left = deliver.recipients.size();
    const config::MasterService* service = configs_.service(deliver.transport);
    std::string command = service ? service->command : deliver.transport;
    if (command == "pipe") {
        Decision decision = decide_pipe(deliver, *service, configs_.of(deliver.transport));
        carry_out(pending, std::move(deliver), std::move(fd), std::move(decision));
        return;
    }
    if (deliver.recipients.size() == 1) {
        Decision decision = decide(command, deliver, deliver.recipients.front());
        carry_out(pending, std::move(deliver), std::move(fd), std::move(decision));
        return;
    }
    std::vector<ipc::DeliverRecipient> recipients = std::move(deliver.recipients);
    for (auto& recipient : recipients) {
        ipc::Deliver one = deliver;
        one.recipients.push_back(std::move(recipient));
        Decision decision = decide(command, one, one.recipients.front());
        carry_out(pending, std::move(one), duplicate(fd), std::move(decision));
    }
}

Task<int> LocalAgent::run() {
    ipc::AgentHello hello;
    hello.max_jobs = kMaxJobs;
    hello.pid = static_cast<uint32_t>(getpid());
    channel_.post(ipc::Channel::pack(hello));
    for (;;) {
        auto frame = co_await channel_.receive();
        if (!frame || frame->type == ipc::AgentStop::kType) break;
        auto deliver = ipc::Channel::unpack<ipc::Deliver>(*frame);
        if (!deliver) {
            log::warning("delivery request: {}", deliver.error().text);
            continue;
        }
        UniqueFd fd;
        if (!frame->fds.empty()) fd = std::move(frame->fds.front());
        route(std::move(*deliver), std::move(fd));
    }
    children_.stop();
    co_await scope_.join();
    // The manager hangs up when it has read every answer: ending first would lose what the socket had no room for.
    channel_.post(ipc::Channel::pack(ipc::AgentStop{}));
    for (;;) {
        auto last = co_await channel_.receive(Millis(5000));
        if (!last) break;
    }
    co_return 0;
}

}   // namespace

int run_local_agent(ipc::Channel channel, AgentConfig config) {
    LocalAgent agent(std::move(channel), std::move(config));
    return Loop::current().run_until_complete(agent.run());
}

}   // namespace postcot::queued
