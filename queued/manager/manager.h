// The queue manager: takes messages in (manager/intake.cc), makes them active and chooses their transports (activation.cc), reads what became of
// each recipient (results.cc), tells senders (notices.cc), sets aside what cannot be read (damaged.cc), and does what the tools ask (control.cc). All on the
// loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/ipc/delivery.h"
#include "libproto/ipc/queue.h"
#include "queued/agents/agent_link.h"
#include "queued/bounce/compose.h"
#include "queued/cleanup/cleanup.h"
#include "queued/scheduler/scheduler.h"
#include "queued/settings.h"
#include "queued/store/store.h"

namespace postcot::queued {

// What a configuration gives: replaced as a whole on reload.
struct ManagerConfig {
    Settings settings;
    std::map<std::string, std::unique_ptr<Cleanup>> cleanups;   // by master.cf service; "cleanup" is always there
    std::shared_ptr<const address::Resolver> resolver;          // trivial-rewrite(8)'s
    DsnTemplates templates;
    DsnSettings dsn;

    static Expected<std::unique_ptr<ManagerConfig>> load(const config::MainCf& main, const config::MasterCf& master);
    // nullptr: master.cf has no such service. "": the default one.
    const Cleanup* cleanup(const std::string& service) const;
    // Why a message that no filter has seen waits; empty when no filter is missing any more.
    std::string waits_for(const ipc::Envelope& envelope) const;
};

struct Submission {
    CleanupInput input;            // text is set by accept()
    std::string text;              // whole, or empty when `large`
    std::shared_ptr<File> large;   // its file, already under the queue id's name
    bool is_large() const { return large != nullptr; }
};

class QueueManager {
  public:
    QueueManager(Store& store, std::unique_ptr<ManagerConfig> config, Scope& scope);
    ~QueueManager();

    void start();                                 // after Store::open()
    void deliver_nothing() { passive_ = true; }   // instead of start(): mail is taken in and kept
    void reload(std::unique_ptr<ManagerConfig> config);
    AgentLink& local_agent() { return *local_; }
    AgentLink& remote_agent() { return *remote_; }
    const Settings& settings() const { return config_->settings; }
    Store& store() { return store_; }

    // --- intake. `done` is called when the message is on disk (with its id), or with the SMTP reply as an error.
    using Accepted = std::function<void(Expected<std::string>)>;
    void accept(Submission submission, Accepted done);
    std::string new_queue_id();
    Expected<void> check_space(uint64_t size);   // RFC 1870's size, or 0
    // Messages that Postfix queued (PostfixImport): they come past cleanup, and between adopted() and ready() are kept but not delivered.
    bool reserve(const std::string& id);   // false: in use
    void unreserve(const std::string& id) { arriving_.erase(id); }
    void adopted(const StoredMessage& message) { adopted_[message.id] = message; }
    void ready(StoredMessage message);

    // --- control
    struct Listed {
        StoredMessage message;
        char queue;   // 'a'ctive, 'd'eferred, 'h'old, 'i'ncoming
    };
    // Up to `limit` messages after `after` in the order of ids; the active ones are among them.
    std::vector<Listed> list(const std::string& after, size_t limit);
    bool remove(const std::string& id);
    bool hold(const std::string& id);
    bool release(const std::string& id);
    bool requeue(const std::string& id);
    bool expire(const std::string& id);
    bool flush_message(const std::string& id);
    size_t flush_all();
    Expected<void> flush_site(std::string site);
    std::optional<StoredMessage> find(const std::string& id);
    Expected<std::string> read_text(const StoredMessage& message, uint64_t max);

    // Shutdown: no new deliveries begin; everything known goes to the index.
    void stop();
    bool idle() const { return jobs_.empty(); }
    void checkpoint();

  private:
    struct Job {
        std::unique_ptr<Entry> entry;
        bool remote = false;
    };

    // activation.cc
    void admit(StoredMessage message, std::shared_ptr<const std::string> head, bool maybe_delivered);
    void assign(ActiveMessage& message, const std::vector<uint32_t>& indexes);
    void fill();   // takes due messages into memory while there is room
    void tick();
    Sent send(std::unique_ptr<Entry>& entry);
    void work();   // runs the scheduler and pays what the turn left to do
    bool flush_index();

    // results.cc
    void delivered(ipc::Delivered answer);
    void agent_lost(bool remote);
    void suspended(std::unique_ptr<Entry> entry, const StoredResult& why);
    void one_result(ActiveMessage& message, const Entry& entry, const ipc::RecipientResult& result,
                    std::vector<Store::Extra>& forwards);
    void probed(ActiveMessage& message, const Entry* entry, const ipc::RecipientResult& result, RecipientState state,
                const std::string& ident);
    void expanded(ActiveMessage& message, const Entry& entry, const ipc::RecipientResult& result,
                  std::vector<Store::Extra>& forwards);
    void log_recipient(const ActiveMessage& message, const Entry* entry, const ipc::RecipientResult& result,
                       const char* status, const std::string& text, const std::string& ident);
    void set_state(ActiveMessage& message, uint32_t index, RecipientState state);
    void after_results(ActiveMessage& message, std::vector<Store::Extra> forwards);
    void defer(ActiveMessage& message, uint32_t index, const std::string& dsn, const std::string& text,
               const std::string& ident);
    void finish_round(ActiveMessage& message, std::vector<Store::Extra> extra);
    void try_later(ActiveMessage& message, std::vector<Store::Extra> extra);
    void finish_when_idle(ActiveMessage& message);
    void let_go(ActiveMessage& message);   // out of memory
    bool done_by_request(ActiveMessage& message);

    // damaged.cc
    struct Content {
        std::string head;
        std::unique_ptr<File> large;   // null: there is none
    };
    Expected<Content> open_content(const ActiveMessage& message);
    Sent unreadable(std::unique_ptr<Entry>& entry, const Error& error);
    Expected<void> write_corrupt(const StoredMessage& stored, const std::string& path);
    [[nodiscard]] bool set_aside(ActiveMessage& message, std::vector<Store::Extra>& extra);

    // notices.cc: messages that tell the sender or the postmaster. All that one round owes are made, or none.
    class Notices {
      public:
        Notices(QueueManager& manager, const ActiveMessage& about) : manager_(manager), about_(about) {}
        [[nodiscard]] bool add(DsnKind kind, const std::vector<uint32_t>& indexes, const std::string& from,
                               const std::string& to, bool postmaster_copy, const char* what);
        void commit(std::vector<Store::Extra>& out);

      private:
        struct Made {
            Store::Extra extra;
            const char* what;
        };
        QueueManager& manager_;
        const ActiveMessage& about_;
        std::vector<Made> made_;
    };
    [[nodiscard]] bool notices(ActiveMessage& message, std::vector<Store::Extra>& out);
    [[nodiscard]] bool delay_notice(ActiveMessage& message, std::vector<Store::Extra>& out);
    Expected<Store::Extra> compose_notice(const ActiveMessage& about, DsnKind kind,
                                          const std::vector<uint32_t>& indexes, const std::string& from,
                                          const std::string& to, bool postmaster_copy);
    std::string double_bounce_sender() const;
    static bool wants(const Recipient& recipient, uint8_t event);

    // intake.cc: cleanup and a stored message of it, not yet recorded.
    Expected<void> filter(CleanupInput& input, const Cleanup& cleanup) const;
    Expected<Store::Extra> prepare(Submission& submission);
    void admit_all(Expected<std::vector<StoredMessage>> messages,
                   std::vector<std::shared_ptr<const std::string>> heads);
    void record_with(std::vector<Op> ops, std::vector<Store::Extra> extra, bool durable, const StoredMessage* finished);

    double now() const;
    uint64_t free_space();   // octets, a second old at most
    uint64_t wanted_space() const;
    AgentLink* agent_of(const TransportSettings& transport);

    Store& store_;
    std::unique_ptr<ManagerConfig> config_;
    Scope& scope_;
    std::unique_ptr<Scheduler> scheduler_;
    std::unique_ptr<AgentLink> local_, remote_;
    std::unordered_map<std::string, std::unique_ptr<ActiveMessage>> active_;
    size_t active_recipients_ = 0;
    std::unordered_map<std::string, bool> arriving_;   // ids given to the journal, not yet acknowledged
    std::unordered_map<std::string, StoredMessage> adopted_;
    std::unordered_map<uint64_t, Job> jobs_;
    uint64_t last_job_ = 0;
    bool more_due_ = true;   // the index holds messages that wait only for room
    bool stopping_ = false;
    bool passive_ = false;
    bool work_posted_ = false;
    size_t cached_heads_ = 0;   // octets
    double next_queue_run_ = 0;
    double next_space_check_ = 0;
    uint64_t free_space_ = 0;
    bool index_trouble_ = false;   // said once
    bool read_trouble_ = false;    // said once
    unsigned checkpoint_overdue_ = 0;
};

}   // namespace postcot::queued
