#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "libproto/address/resolve.h"
#include "libproto/runtime/log.h"
#include "libproto/smtp/path.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

namespace {

constexpr size_t kActivateAtOnce = 200;
constexpr uint64_t kCheckpointEvery = 64 << 20;   // octets of journal
constexpr unsigned kCheckpointPatience = 30;      // seconds, for a moment in which nothing is being written

}   // namespace

QueueManager::QueueManager(Store& store, std::unique_ptr<ManagerConfig> config, Scope& scope)
    : store_(store), config_(std::move(config)), scope_(scope) {
    scheduler_ = std::make_unique<Scheduler>(
        [this](std::unique_ptr<Entry>& entry) { return send(entry); },
        [this](std::unique_ptr<Entry> entry, const StoredResult& why) { suspended(std::move(entry), why); });
    scheduler_->configure(config_->settings, now());
    auto events = [this](bool remote) {
        AgentLink::Events e;
        e.ready = [this] { work(); };
        e.delivered = [this](ipc::Delivered answer) { delivered(std::move(answer)); };
        e.lost = [this, remote] { agent_lost(remote); };
        return e;
    };
    store_.commits().on_settled = [this] { work(); };
    local_ = std::make_unique<AgentLink>("local", scope, events(false));
    remote_ = std::make_unique<AgentLink>("remote", scope, events(true));
}

QueueManager::~QueueManager() { store_.commits().on_settled = nullptr; }

void QueueManager::start() {
    Loop::current().every(Millis(1000), [this] { tick(); });
    next_queue_run_ = now();
}

void QueueManager::reload(std::unique_ptr<ManagerConfig> config) {
    config_ = std::move(config);
    scheduler_->configure(config_->settings, now());
    next_queue_run_ = now();
}

// Everything that a turn leaves to do is done once at its end, however many messages it moved.
void QueueManager::work() {
    if (work_posted_) return;
    work_posted_ = true;
    Loop::current().post([this] {
        work_posted_ = false;
        scheduler_->run(now());
        fill();
        if (store_.index_dirty()) flush_index();
    });
}

bool QueueManager::flush_index() {
    auto flushed = store_.flush_index();
    if (!flushed && !index_trouble_) log::error("{}", flushed.error().text);
    index_trouble_ = !flushed;
    return !index_trouble_;
}

void QueueManager::fill() {
    if (!more_due_ || stopping_ || passive_ || store_.commits().blocked()) return;
    const Settings& s = settings();
    size_t room = active_.size() < s.active_limit ? s.active_limit - active_.size() : 0;
    if (active_recipients_ >= s.active_recipient_limit) room = 0;
    // In gulps: a flush of a long queue must not keep the loop from its sockets.
    room = std::min(room, kActivateAtOnce);
    if (room == 0) return;
    if (store_.index_dirty() && !flush_index()) return;
    auto ids = store_.due(static_cast<int64_t>(now()), room);
    if (ids.size() < room) more_due_ = store_.index_dirty();   // what waits for the journal comes after it
    std::vector<StoredMessage> messages;
    std::vector<std::string> taken;
    for (const auto& id : ids) {
        auto message = active_.count(id) ? std::nullopt : store_.find(id);
        if (!message || message->hold) continue;   // the index does not know it yet
        messages.push_back(std::move(*message));
        taken.push_back(id);
    }
    if (taken.empty()) return;
    if (auto activated = store_.activate(taken); !activated) {   // the next tick tries again
        if (!index_trouble_) log::error("{}", activated.error().text);
        index_trouble_ = true;
        return;
    }
    for (auto& message : messages) admit(std::move(message), nullptr, true);
    if (more_due_) work();
}

void QueueManager::tick() {
    double at = now();
    if (at >= next_queue_run_) {
        next_queue_run_ = at + static_cast<double>(settings().queue_run_delay.count());
        more_due_ = true;
    }
    scheduler_->tick(at);
    work();
    // Best in a moment in which the journal knows all that is in memory.
    if (store_.journal_since_checkpoint() > kCheckpointEvery &&
        (store_.commits().settled() == store_.commits().last_added() || ++checkpoint_overdue_ > kCheckpointPatience)) {
        checkpoint();
    }
    if (store_.wants_reserve() && free_space() >= wanted_space()) store_.want_reserve();
    store_.reclaim([this](const std::string& id) -> StoredMessage* {
        auto found = active_.find(id);
        return found == active_.end() ? nullptr : &found->second->stored;
    });
}

void QueueManager::checkpoint() {
    std::vector<const StoredMessage*> all;
    all.reserve(active_.size() + adopted_.size());
    for (const auto& [id, message] : active_) all.push_back(&message->stored);
    for (const auto& [id, message] : adopted_) all.push_back(&message);
    checkpoint_overdue_ = 0;
    if (store_.commits().gave_up()) {
        log::warning(
            "queue journal: what became of the last deliveries could not be written: some of them may be repeated");
        return;
    }
    if (auto flushed = store_.flush_index(&all); !flushed) {
        if (!index_trouble_) log::error("{}", flushed.error().text);
        index_trouble_ = true;
        return;
    }
    store_.reserve_index();
}

void QueueManager::stop() { stopping_ = true; }

AgentLink* QueueManager::agent_of(const TransportSettings& transport) {
    switch (transport.agent) {
        case TransportSettings::Agent::kLocal: return local_.get();
        case TransportSettings::Agent::kRemote: return remote_.get();
        case TransportSettings::Agent::kUnknown: break;
    }
    return nullptr;
}

void QueueManager::assign(ActiveMessage& message, const std::vector<uint32_t>& indexes) {
    const std::string error_ident = settings().syslog_name + "/error";
    if (message.stored.expire) {   // postsuper -e: finish_round() returns it
        for (uint32_t i : indexes) {
            auto& result = message.stored.states[i].result;
            if (result.text.empty()) {
                result.dsn = "4.7.0";
                result.text = "message is administratively expired";
            }
        }
        return;
    }
    if (message.stored.envelope.unfiltered) {
        if (const auto why = config_->waits_for(message.stored.envelope); !why.empty()) {
            message.waits_for_filter = true;
            for (uint32_t i : indexes) defer(message, i, "4.7.1", why, error_ident);
            return;
        }
    }
    std::map<std::pair<std::string, std::string>, std::vector<uint32_t>> groups;
    for (uint32_t i : indexes) {
        const Recipient& recipient = message.stored.envelope.recipients[i];
        const RecipientState& state = message.stored.states[i];
        std::string transport, nexthop;
        std::string forced = !state.transport.empty() ? state.transport : message.stored.envelope.filter;
        if (!state.context.empty() && forced.empty()) forced = "local";
        if (!forced.empty()) {
            auto split = address::split_transport(forced);
            transport = split.transport;
            nexthop = split.nexthop;
        }
        if (transport.empty() || nexthop.empty()) {
            auto resolved = config_->resolver->resolve(message.stored.envelope.sender, recipient.address);
            if (!resolved) {
                log::warning("{}: address resolver failure: {}", message.stored.id, resolved.error().text);
                defer(message, i, "4.3.0", "address resolver failure", error_ident);
                continue;
            }
            if (transport.empty()) transport = resolved->transport;
            if (nexthop.empty())
                nexthop = forced.empty() || !state.context.empty() ? resolved->nexthop : settings().hostname;
        }
        if (settings().defer_transports.count(transport)) {
            defer(message, i, "4.3.2", "deferred transport", error_ident);
            continue;
        }
        if (!agent_of(settings().transport(transport))) {
            log::warning("connect to transport private/{}: No such file or directory", transport);
            defer(message, i, "4.3.0", "mail transport unavailable", error_ident);
            continue;
        }
        if (const auto& missing = settings().transport(transport).missing_filter; missing.waits()) {
            defer(message, i, "4.7.1", missing.reason(), error_ident);
            message.waits_for_filter = true;
            continue;
        }
        groups[{std::move(transport), std::move(nexthop)}].push_back(i);
    }
    double at = now();
    for (auto& [target, recipients] : groups)
        scheduler_->add(message, target.first, target.second, std::move(recipients), at);
}

Sent QueueManager::send(std::unique_ptr<Entry>& entry) {
    // A delivery whose end could not be written down might be done twice.
    if (stopping_ || store_.commits().blocked()) return Sent::kNotNow;
    Destination& destination = *entry->destination;
    AgentLink* agent = agent_of(destination.transport.settings);
    if (!agent || !agent->ready()) return Sent::kNotNow;
    ActiveMessage& message = *entry->message;
    const StoredMessage& stored = message.stored;

    auto content = open_content(message);
    if (!content) return unreadable(entry, content.error());
    ipc::Deliver job;
    std::vector<UniqueFd> fds;
    job.head = std::move(content->head);
    if (content->large) {
        UniqueFd fd(::fcntl(content->large->fd(), F_DUPFD_CLOEXEC, 0));
        if (!fd) return unreadable(entry, Error{errno, {}, "dup: " + std::string(std::strerror(errno))});
        fds.push_back(std::move(fd));
        job.offset = stored.large_offset;
        job.length = stored.large_length;
    }
    read_trouble_ = false;
    const Envelope& envelope = stored.envelope;
    job.job = ++last_job_;
    job.queue_id = stored.id;
    job.transport = destination.transport.name;
    job.nexthop = destination.nexthop;
    job.sender = envelope.sender;
    job.ret = envelope.ret;
    job.envid = envelope.envid;
    job.body = envelope.body;
    job.smtputf8 = envelope.smtputf8;
    job.requiretls = envelope.requiretls;
    job.verp = envelope.verp;
    job.client_name = envelope.client_name;
    job.client_address = envelope.client_address;
    job.client_port = envelope.client_port;
    job.helo_name = envelope.helo_name;
    job.protocol = envelope.protocol;
    job.sasl_method = envelope.sasl_method;
    job.sasl_username = envelope.sasl_username;
    job.sasl_sender = envelope.sasl_sender;
    job.arrival_seconds = envelope.arrival_seconds;
    job.arrival_microseconds = envelope.arrival_microseconds;
    job.verify = envelope.verify;
    job.maybe_delivered = entry->maybe_delivered;
    job.also_waiting = static_cast<uint32_t>(destination.waiting.size());
    for (uint32_t i : entry->recipients) {
        ipc::DeliverRecipient recipient;
        recipient.index = i;
        recipient.recipient = envelope.recipients[i];
        recipient.context = stored.states[i].context;
        job.recipients.push_back(std::move(recipient));
    }
    agent->send(job, std::move(fds));
    entry->sent = now();
    Job record;
    record.entry = std::move(entry);
    record.remote = agent == remote_.get();
    jobs_[job.job] = std::move(record);
    return Sent::kYes;
}

}   // namespace postcot::queued
