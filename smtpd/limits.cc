#include "smtpd/limits.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>

namespace postcot::smtpd {

namespace {
constexpr size_t kEntries = 1 << 15;
constexpr size_t kProbes = 16;   // neighbours tried; past them the least used one is taken over
constexpr int kEvents = 3;

uint64_t hash(std::string_view service,
              std::string_view address) {   // FNV-1a; 64 bits make collisions of two clients unlikely
    uint64_t h = 1469598103934665603ULL;
    auto mix = [&h](std::string_view text) {
        for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        h = (h ^ 0xFF) * 1099511628211ULL;
    };
    mix(service);
    mix(address);
    return h ? h : 1;
}
}   // namespace

struct ClientCounters::Entry {
    uint64_t key;
    int64_t window_start;   // seconds; of the event counts
    uint32_t events[kEvents];
    uint32_t total;                      // open connections
    uint16_t connections[kMaxWorkers];   // ... of each worker
};

struct ClientCounters::Shared {
    pthread_mutex_t mutex;
    Entry entries[kEntries];
};

// Robust: a worker that dies inside leaves a table that is at worst one count off.
class ClientCounters::Lock {
  public:
    explicit Lock(Shared* shared) : shared_(shared) {
        if (pthread_mutex_lock(&shared_->mutex) == EOWNERDEAD) pthread_mutex_consistent(&shared_->mutex);
    }
    ~Lock() { pthread_mutex_unlock(&shared_->mutex); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

  private:
    Shared* shared_;
};

ClientCounters::ClientCounters() {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    shared_ = static_cast<Shared*>(memory);   // zero pages: an empty table
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared_->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

ClientCounters::~ClientCounters() { munmap(shared_, sizeof(Shared)); }

void ClientCounters::start_worker(int worker) {
    const auto slot = static_cast<size_t>(worker % kMaxWorkers);
    Lock lock(shared_);
    for (auto& entry : shared_->entries) {
        entry.total -= entry.connections[slot];
        entry.connections[slot] = 0;
    }
}

ClientCounters::Entry* ClientCounters::find(uint64_t key) {
    Entry* spare = nullptr;
    for (size_t i = 0; i < kProbes; ++i) {
        auto& entry = shared_->entries[(key + i) % kEntries];
        if (entry.key == key) return &entry;
        if (entry.total == 0 &&
            (!spare || entry.key == 0 || (spare->key != 0 && entry.window_start < spare->window_start))) {
            spare = &entry;
        }
    }
    if (!spare) return nullptr;   // 16 busy neighbours: this client goes uncounted
    std::memset(spare, 0, sizeof *spare);
    spare->key = key;
    return spare;
}

int ClientCounters::connect(int worker, std::string_view service, std::string_view address) {
    Lock lock(shared_);
    auto* entry = find(hash(service, address));
    if (!entry) return 1;
    auto& mine = entry->connections[static_cast<size_t>(worker % kMaxWorkers)];
    if (mine == UINT16_MAX) return static_cast<int>(entry->total);
    ++mine;
    return static_cast<int>(++entry->total);
}

void ClientCounters::disconnect(int worker, std::string_view service, std::string_view address) {
    Lock lock(shared_);
    auto* entry = find(hash(service, address));
    if (!entry) return;
    auto& mine = entry->connections[static_cast<size_t>(worker % kMaxWorkers)];
    if (mine == 0) return;
    --mine;
    --entry->total;
}

int ClientCounters::count(Event event, std::string_view service, std::string_view address, std::chrono::seconds unit) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    Lock lock(shared_);
    auto* entry = find(hash(service, address));
    if (!entry) return 1;
    if (now.tv_sec - entry->window_start >= unit.count()) {
        std::memset(entry->events, 0, sizeof entry->events);
        entry->window_start = now.tv_sec;
    }
    return static_cast<int>(++entry->events[static_cast<size_t>(event)]);
}

}   // namespace postcot::smtpd
