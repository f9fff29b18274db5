// Which delivery begins next: Postfix's queue manager. Transports have a limit of deliveries under way, destinations a window that follows feedback;
// destinations of a transport take turns, so that one with a million messages or one that does not answer delays no other.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "queued/scheduler/active_message.h"
#include "queued/scheduler/feedback.h"
#include "queued/settings.h"

namespace postcot::queued {

struct Transport;

struct Destination {
    Destination(Transport& owner, std::string key_, std::string nexthop_);
    Transport& transport;
    std::string
        key;   // recipient for transports that take one recipient at a time (Postfix: so that one mailbox gets its share), else nexthop
    std::string nexthop;
    std::list<std::unique_ptr<Entry>> waiting;
    size_t in_flight = 0;
    Feedback feedback;
    bool in_turn = false;   // stands in Transport::turns
    double dead_until = 0;
    double not_before = 0;   // *_destination_rate_delay
    StoredResult why_dead;
};

struct Transport {
    std::string name;
    TransportSettings settings;
    std::unordered_map<std::string, std::unique_ptr<Destination>> destinations;
    std::deque<Destination*> turns;   // destinations with something to send and room to send it
    size_t in_flight = 0;
};

enum class Sent : uint8_t {
    kYes,       // an agent has it
    kNotNow,    // no agent takes work now: call run() when one does
    kDropped,   // it is not to be delivered: whoever was asked has dealt with it
};

class Scheduler {
  public:
    // Gives an entry to the transport's agent, and takes it, except for kNotNow.
    using Send = std::function<Sent(std::unique_ptr<Entry>& entry)>;
    // Entries that are not to be tried now, because their destination is dead.
    using Suspended = std::function<void(std::unique_ptr<Entry> entry, const StoredResult& why)>;

    Scheduler(Send send, Suspended suspended);
    void configure(const Settings& settings, double now);

    Transport& transport(const std::string& name);

    // A part of a message begins to wait. Dead destinations answer at once through `suspended`.
    void add(ActiveMessage& message, const std::string& transport, const std::string& nexthop,
             std::vector<uint32_t> recipients, double now);
    // Sends what may be sent.
    void run(double now);
    // An agent answered. `failed`: the destination as a whole did not.
    void finished(std::unique_ptr<Entry> entry, bool failed, const StoredResult& why, double now);
    // An entry whose agent died comes back to the front of its queue.
    void again(std::unique_ptr<Entry> entry);
    // Takes a message's waiting entries out; those under way stay.
    std::vector<std::unique_ptr<Entry>> withdraw(const ActiveMessage& message);

    void revive_all();
    void tick(double now);   // about once a second

    size_t waiting() const { return waiting_; }
    size_t in_flight() const { return in_flight_; }

  private:
    void take_turn(Destination& destination);
    void release_if_idle(Destination& destination);
    void declare_dead(Destination& destination, const StoredResult& why, double now);

    Send send_;
    Suspended suspended_;
    const Settings* settings_ = nullptr;
    std::map<std::string, std::unique_ptr<Transport>> transports_;
    size_t waiting_ = 0;
    size_t in_flight_ = 0;
    bool running_ = false;
};

}   // namespace postcot::queued
