#include "queued/control/control_server.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "libproto/runtime/log.h"
#include "libproto/smtp/queue_id.h"

namespace postcot::queued {

namespace {

constexpr size_t kChunk = 200;
constexpr Millis kPatience{30000};   // with a client that does not read

const char* queue_name(char queue) {
    switch (queue) {
        case 'a': return "active";
        case 'h': return "hold";
        case 'i': return "incoming";
        default: return "deferred";
    }
}

ipc::ControlItem item_of(const StoredMessage& message, char queue, bool all) {
    ipc::ControlItem item;
    item.queue = queue_name(queue);
    item.id = message.id;
    item.size = message.size();
    item.arrival = message.envelope.arrival_seconds;
    item.queued = message.queued_seconds;
    item.forced_expire = message.expire;
    item.sender = message.envelope.sender;
    for (size_t i = 0; i < message.states.size(); ++i) {
        const auto& state = message.states[i];
        if (!all && state.status != RecipientStatus::kPending) continue;
        ipc::ControlItem::Recipient recipient;
        recipient.address = message.envelope.recipients[i].address;
        recipient.original = message.envelope.recipients[i].original;
        recipient.reason = state.status == RecipientStatus::kPending ? state.result.text : std::string();
        recipient.done = state.status != RecipientStatus::kPending;
        item.recipients.push_back(std::move(recipient));
    }
    return item;
}

void attribute(std::vector<std::string>& out, const char* name, const std::string& value) {
    if (!value.empty()) out.push_back(std::string(name) + "=" + value);
}

}   // namespace

ControlServer::ControlServer(QueueManager& manager, Pickup& pickup, Scope& scope, UniqueFd listening)
    : manager_(manager), pickup_(pickup), scope_(scope), listener_(std::move(listening)) {}

Task<void> ControlServer::run() {
    for (;;) {
        auto accepted = co_await listener_.accept();
        if (!accepted) {
            if (accepted.error().code == ECANCELED) co_return;
            auto slept = co_await sleep_for(Millis(100));
            if (!slept) co_return;
            continue;
        }
        if (scope_.size() > 500) continue;   // a bound on what local users can start here
        scope_.spawn(serve(std::move(accepted->fd)));
    }
}

Task<void> ControlServer::serve(UniqueFd fd) {
    auto peer = peer_credentials(fd.get());
    if (!peer) co_return;
    bool privileged = peer->uid == 0 || peer->uid == ::geteuid();
    ipc::Channel channel(std::move(fd), 1 << 20);
    auto frame = co_await channel.receive(kPatience);
    if (!frame) co_return;
    auto request = ipc::Channel::unpack<ipc::ControlRequest>(*frame);
    if (!request) co_return;
    auto done = co_await answer(channel, std::move(*request), privileged);
    auto sent = co_await channel.send_message(done);
    // The caller hangs up when it has read all: closing first would lose what the socket had no room for yet.
    if (sent) (void)co_await channel.receive(kPatience);
}

Task<ipc::ControlDone> ControlServer::answer(ipc::Channel& channel, ipc::ControlRequest request, bool privileged) {
    ipc::ControlDone done;
    using Verb = ipc::ControlVerb;
    const bool anybody = request.verb == Verb::kList || request.verb == Verb::kFlush ||
                         request.verb == Verb::kFlushSite || request.verb == Verb::kFlushMessage ||
                         request.verb == Verb::kWake;
    if (!anybody && !privileged) {
        done.text = "Permission denied";
        co_return done;
    }
    switch (request.verb) {
        case Verb::kList: done = co_await list(channel); break;
        case Verb::kFlush:
            done.count = manager_.flush_all();
            pickup_.wake();
            done.ok = true;
            break;
        case Verb::kFlushSite:
            done.ok = true;
            for (const auto& site : request.arguments) {
                if (auto flushed = manager_.flush_site(site); !flushed) {
                    done.ok = false;
                    done.text = flushed.error().text;
                }
            }
            break;
        case Verb::kFlushMessage:
            done.ok = true;
            for (const auto& id : request.arguments) {
                if (manager_.flush_message(id)) ++done.count;
            }
            break;
        case Verb::kShow:
            if (request.arguments.size() == 1) {
                done = co_await show(channel, request.arguments.front());
            } else {
                done.text = "one queue id is needed";
            }
            break;
        case Verb::kWake:
            pickup_.wake();
            done.ok = true;
            break;
        default: done = co_await each(channel, std::move(request)); break;
    }
    co_return done;
}

Task<ipc::ControlDone> ControlServer::list(ipc::Channel& channel) {
    ipc::ControlDone done;
    std::string after;
    for (;;) {
        auto listed = manager_.list(after, kChunk);
        if (listed.empty()) break;
        for (const auto& one : listed) {
            auto sent = co_await channel.send_message(item_of(one.message, one.queue, false));
            if (!sent) co_return done;
            ++done.count;
        }
        after = listed.back().message.id;
    }
    done.ok = true;
    co_return done;
}

Task<ipc::ControlDone> ControlServer::show(ipc::Channel& channel, std::string id) {
    ipc::ControlDone done;
    auto message = manager_.find(id);
    if (!message) {
        done.text = "No such file or directory";
        co_return done;
    }
    char queue = message->hold ? 'h' : message->attempts == 0 ? 'a' : 'd';
    ipc::ControlItem item = item_of(*message, queue, true);
    const Envelope& envelope = message->envelope;
    attribute(item.attributes, "log_client_name", envelope.client_name);
    attribute(item.attributes, "log_client_address", envelope.client_address);
    attribute(item.attributes, "log_client_port", envelope.client_port);
    attribute(item.attributes, "log_helo_name", envelope.helo_name);
    attribute(item.attributes, "log_protocol_name", envelope.protocol);
    attribute(item.attributes, "client_name", envelope.client_name);
    attribute(item.attributes, "client_address", envelope.client_address);
    attribute(item.attributes, "sasl_method", envelope.sasl_method);
    attribute(item.attributes, "sasl_username", envelope.sasl_username);
    attribute(item.attributes, "sasl_sender", envelope.sasl_sender);
    attribute(item.attributes, "envelope_id", envelope.envid);
    if (envelope.local_submission) item.attributes.push_back("rewrite_context=local");
    auto sent = co_await channel.send_message(item);
    if (!sent) co_return done;
    auto text = manager_.read_text(*message, 100 << 20);
    if (!text) {
        done.text = text.error().text;
        co_return done;
    }
    for (size_t at = 0; at < text->size(); at += 256 * 1024) {
        ipc::ControlText piece;
        piece.data = text->substr(at, 256 * 1024);
        auto written = co_await channel.send_message(piece);
        if (!written) co_return done;
    }
    done.ok = true;
    done.count = 1;
    co_return done;
}

bool ControlServer::act(ipc::ControlVerb verb, const std::string& id) {
    using Verb = ipc::ControlVerb;
    switch (verb) {
        case Verb::kDelete: return manager_.remove(id);
        case Verb::kHold: return manager_.hold(id);
        case Verb::kRelease: return manager_.release(id);
        case Verb::kRequeue: return manager_.requeue(id);
        case Verb::kExpire: return manager_.expire(id);
        case Verb::kExpireNow: {
            bool released = manager_.release(id);
            return manager_.expire(id) || released;
        }
        default: return false;
    }
}

Task<ipc::ControlDone> ControlServer::each(ipc::Channel& channel, ipc::ControlRequest request) {
    ipc::ControlDone done;
    done.ok = true;
    const std::string ident = manager_.settings().syslog_name + "/postsuper";
    using Verb = ipc::ControlVerb;
    const char* what = request.verb == Verb::kDelete    ? "removed"
                       : request.verb == Verb::kHold    ? "placed on hold"
                       : request.verb == Verb::kRelease ? "released from hold"
                       : request.verb == Verb::kRequeue ? "requeued"
                                                        : "expired";
    auto say = [&](const std::string& id) {
        if (request.verb != Verb::kRequeue) log::info_as(ident, "{}: {}", id, what);   // the manager says that itself
    };
    auto in_queues = [&](const std::string& name) {
        if (request.queues.empty()) return true;
        return std::find(request.queues.begin(), request.queues.end(), name) != request.queues.end();
    };
    for (const auto& argument : request.arguments) {
        if (argument != "ALL") {
            if (!smtp::is_queue_id(argument)) continue;
            if (act(request.verb, argument)) {
                ++done.count;
                say(argument);
                ipc::ControlText line;   // as postsuper(1): one line for each id that was named
                line.data = argument + ": " + what;
                auto sent = co_await channel.send_message(line);
                if (!sent) co_return done;
            }
            continue;
        }
        std::string after;
        std::vector<std::string> ids;
        for (;;) {
            auto listed = manager_.list(after, kChunk);
            if (listed.empty()) break;
            after = listed.back().message.id;
            for (const auto& one : listed) {
                if (in_queues(queue_name(one.queue))) ids.push_back(one.message.id);
            }
        }
        size_t since = 0;
        for (const auto& id : ids) {
            if (act(request.verb, id)) {
                ++done.count;
                say(id);
            }
            if (++since % kChunk == 0) {   // others want the loop, too
                auto slept = co_await sleep_for(Millis(1));
                if (!slept) co_return done;
            }
        }
    }
    co_return done;
}

}   // namespace postcot::queued
