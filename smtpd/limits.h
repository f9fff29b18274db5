// What anvil(8) does: counts connections and events per client address and service, shared by all workers through one mapping made
// before they are forked.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

namespace postcot::smtpd {

class ClientCounters {
  public:
    static constexpr int kMaxWorkers = 32;

    ClientCounters();   // maps the shared table
    ~ClientCounters();
    ClientCounters(const ClientCounters&) = delete;
    ClientCounters& operator=(const ClientCounters&) = delete;

    // Called by a worker when it starts: what its predecessor of the same number left behind is taken back.
    void start_worker(int worker);

    enum class Event { kConnection, kMessage, kRecipient };
    // Counts one more open connection; returns how many there are now, this one included.
    int connect(int worker, std::string_view service, std::string_view address);
    void disconnect(int worker, std::string_view service, std::string_view address);
    // Counts an event; returns how many there were in the current `unit`, this one included.
    int count(Event event, std::string_view service, std::string_view address, std::chrono::seconds unit);

  private:
    struct Shared;
    struct Entry;
    class Lock;
    Entry* find(uint64_t key);

    Shared* shared_ = nullptr;
};

}   // namespace postcot::smtpd
