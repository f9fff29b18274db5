// A message in the scheduler's memory: at most qmgr_message_active_limit of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "queued/journal/records.h"

namespace postcot::queued {

struct ActiveMessage {
    StoredMessage stored;
    std::shared_ptr<const std::string> head;   // inline text while it is kept in memory; else read from the journal
    bool waits_for_filter = false;             // a filter is configured that nobody runs: such mail does not expire
    bool maybe_delivered = false;              // an earlier process may have delivered it and not have said so
    double entered = 0;                        // wall clock, seconds, when it became active
    size_t entries = 0;                        // parts that wait for delivery or are under way
    std::vector<Op> unsaved;                   // results of this round that the journal does not know yet
    bool durable_results = false;              // a remote server took it: saying so twice is worth a sync

    // What a person asked for while it was under way, or what it turned out to need.
    enum class Then : uint8_t { kNothing, kRemove, kHold, kRequeue, kSetAside } then = Then::kNothing;
    std::string why_unreadable;   // kSetAside
};

// A part of a message: recipients that go to one destination in one delivery.
struct Destination;
struct Entry {
    ActiveMessage* message = nullptr;
    Destination* destination = nullptr;
    std::vector<uint32_t> recipients;   // indexes
    double sent = 0;                    // wall clock, when it was given to the agent
    bool maybe_delivered = false;
};

}   // namespace postcot::queued
