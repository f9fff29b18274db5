#include "queued/scheduler/scheduler.h"

#include <algorithm>

namespace postcot::queued {

Destination::Destination(Transport& owner, std::string key_, std::string nexthop_)
    : transport(owner), key(std::move(key_)), nexthop(std::move(nexthop_)), feedback(owner.settings.feedback) {}

Scheduler::Scheduler(Send send, Suspended suspended) : send_(std::move(send)), suspended_(std::move(suspended)) {}

void Scheduler::configure(const Settings& settings, double) {
    settings_ = &settings;
    for (auto& [name, transport] : transports_) transport->settings = settings.transport(name);
}

Transport& Scheduler::transport(const std::string& name) {
    auto& slot = transports_[name];
    if (!slot) {
        slot = std::make_unique<Transport>();
        slot->name = name;
        slot->settings = settings_->transport(name);
    }
    return *slot;
}

void Scheduler::take_turn(Destination& destination) {
    if (destination.in_turn || destination.waiting.empty()) return;
    destination.in_turn = true;
    destination.transport.turns.push_back(&destination);
}

void Scheduler::add(ActiveMessage& message, const std::string& transport_name, const std::string& nexthop,
                    std::vector<uint32_t> recipients, double) {
    Transport& owner = transport(transport_name);
    const size_t limit = owner.settings.recipient_limit;
    std::vector<std::unique_ptr<Entry>> suspended;
    StoredResult why;
    for (size_t at = 0; at < recipients.size();) {
        size_t count = std::min(limit, recipients.size() - at);
        const std::string& key = limit == 1 ? message.stored.envelope.recipients[recipients[at]].address : nexthop;
        auto& slot = owner.destinations[key];
        if (!slot) slot = std::make_unique<Destination>(owner, key, nexthop);
        auto entry = std::make_unique<Entry>();
        entry->message = &message;
        entry->destination = slot.get();
        entry->maybe_delivered = message.maybe_delivered;
        entry->recipients.assign(recipients.begin() + static_cast<std::ptrdiff_t>(at),
                                 recipients.begin() + static_cast<std::ptrdiff_t>(at + count));
        ++message.entries;
        at += count;
        if (slot->feedback.dead()) {
            why = slot->why_dead;
            suspended.push_back(std::move(entry));
            continue;
        }
        slot->waiting.push_back(std::move(entry));
        ++waiting_;
        take_turn(*slot);
    }
    for (auto& entry : suspended) suspended_(std::move(entry), why);
}

void Scheduler::run(double now) {
    if (running_) return;   // send_ may answer at once
    running_ = true;
    for (auto& [name, transport] : transports_) {
        // Each destination in `turns` gets one look per round; one that may send goes to the end of the line.
        size_t idle = 0;
        while (!transport->turns.empty() && idle < transport->turns.size() &&
               transport->in_flight < transport->settings.process_limit * transport->settings.batch) {
            Destination* destination = transport->turns.front();
            transport->turns.pop_front();
            destination->in_turn = false;
            if (destination->waiting.empty()) continue;
            size_t window = destination->feedback.window() * transport->settings.batch;
            if (destination->in_flight >= window) continue;   // finished() gives it a turn again
            if (destination->not_before > now) {
                take_turn(*destination);
                ++idle;
                continue;
            }
            auto entry = std::move(destination->waiting.front());
            destination->waiting.pop_front();
            const Sent sent = send_(entry);
            if (sent == Sent::kNotNow) {
                destination->waiting.push_front(std::move(entry));
                destination->in_turn = true;
                transport->turns.push_front(destination);
                break;
            }
            --waiting_;
            if (sent == Sent::kDropped) {
                take_turn(*destination);
                release_if_idle(*destination);
                continue;
            }
            ++in_flight_;
            ++destination->in_flight;
            ++transport->in_flight;
            idle = 0;
            if (transport->settings.rate_delay.count() > 0) {
                destination->not_before = now + static_cast<double>(transport->settings.rate_delay.count());
            }
            take_turn(*destination);
        }
    }
    running_ = false;
}

void Scheduler::declare_dead(Destination& destination, const StoredResult& why, double now) {
    destination.why_dead = why;
    destination.dead_until = now + static_cast<double>(settings_->minimal_backoff.count());
    auto waiting = std::move(destination.waiting);
    destination.waiting.clear();
    waiting_ -= waiting.size();
    for (auto& entry : waiting) suspended_(std::move(entry), why);
}

void Scheduler::finished(std::unique_ptr<Entry> entry, bool failed, const StoredResult& why, double now) {
    Destination& destination = *entry->destination;
    Transport& transport = destination.transport;
    if (failed) {
        bool was_dead = destination.feedback.dead();
        destination.feedback.failed();
        if (!was_dead && destination.feedback.dead()) declare_dead(destination, why, now);
    } else {
        destination.feedback.succeeded(destination.in_flight);
        destination.dead_until = 0;
    }
    --destination.in_flight;
    --transport.in_flight;
    --in_flight_;
    take_turn(destination);
    release_if_idle(destination);
}

void Scheduler::again(std::unique_ptr<Entry> entry) {
    Destination& destination = *entry->destination;
    --destination.in_flight;
    --destination.transport.in_flight;
    --in_flight_;
    entry->maybe_delivered = true;
    destination.waiting.push_front(std::move(entry));
    ++waiting_;
    take_turn(destination);
}

std::vector<std::unique_ptr<Entry>> Scheduler::withdraw(const ActiveMessage& message) {
    std::vector<std::unique_ptr<Entry>> out;
    std::vector<Destination*> touched;
    for (auto& [name, transport] : transports_) {
        for (auto& [key, destination] : transport->destinations) {
            auto& waiting = destination->waiting;
            for (auto at = waiting.begin(); at != waiting.end();) {
                if ((*at)->message != &message) {
                    ++at;
                    continue;
                }
                out.push_back(std::move(*at));
                at = waiting.erase(at);
                --waiting_;
                touched.push_back(destination.get());
            }
        }
    }
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (auto* destination : touched) release_if_idle(*destination);
    return out;
}

// As Postfix: a destination without work and without a grudge is forgotten.
void Scheduler::release_if_idle(Destination& destination) {
    if (destination.in_flight > 0 || !destination.waiting.empty() || destination.feedback.dead() ||
        destination.not_before > 0)
        return;
    Transport& transport = destination.transport;
    if (destination.in_turn) {
        auto& turns = transport.turns;
        turns.erase(std::remove(turns.begin(), turns.end(), &destination), turns.end());
    }
    transport.destinations.erase(std::string(destination.key));
}

void Scheduler::revive_all() {
    for (auto& [name, transport] : transports_) {
        for (auto& [key, destination] : transport->destinations) {
            if (destination->feedback.dead()) destination->feedback.revive();
        }
    }
}

void Scheduler::tick(double now) {
    for (auto& [name, transport] : transports_) {
        std::vector<Destination*> idle;
        for (auto& [key, destination] : transport->destinations) {
            if (destination->feedback.dead() && destination->dead_until <= now) destination->feedback.revive();
            if (destination->not_before > 0 && destination->not_before <= now) destination->not_before = 0;
            if (destination->waiting.empty() && destination->in_flight == 0) idle.push_back(destination.get());
        }
        for (auto* destination : idle) release_if_idle(*destination);
    }
    run(now);
}

}   // namespace postcot::queued
