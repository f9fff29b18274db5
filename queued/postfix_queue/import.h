// Takes over what a Postfix left in queue_directory: its files in incoming/, active/, deferred/ and hold/ become messages of the journal, each once. (Its
// maildrop/ is Pickup's.)
//
// For some files at a time: their messages are committed to the journal; then the files are removed and their folders synced; only then may
// the messages be delivered. So whatever stops this half way, a message that is in both places has not been touched, and is found
// again by the name of its file, which stands in Envelope::log_ident.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"
#include "queued/postfix_queue/convert.h"
#include "queued/store/store.h"

namespace postcot::queued {

class QueueManager;

class PostfixImport {
  public:
    struct Hooks {
        std::function<bool(const std::string& id)> reserve;   // false: in use
        std::function<std::string()> fresh_id;
        std::function<void(const StoredMessage&)> adopted;   // in the journal, and not to be delivered yet
        std::function<void(StoredMessage)> ready;            // gone from Postfix's queue: ends the reservation
        std::function<void(const std::string& id)> unreserve;
        std::function<int64_t()> now;
    };
    static Hooks hooks_of(QueueManager& manager);
    PostfixImport(Store& store, std::string queue_directory, std::string ident, Hooks hooks);

    // Before any delivery: removes files whose messages an earlier start brought into the journal.
    void recover();
    // Until all is taken over, or stop. What cannot be read is named and left.
    // `master_pid`: of a Postfix that still runs (running_postfix()), whose end is waited for: it must not move files meanwhile.
    Task<void> run(UniqueFd master_pid = {});
    // Its pid file, which Postfix's master(8) has locked; empty when none runs. Needs root, as that file does.
    static UniqueFd running_postfix(const std::string& queue_directory);

    // The same in steps, for tests. True: some messages were given to the store's GroupCommit; let it write, then finish().
    bool begin_batch();
    void finish();

    struct Counts {
        uint64_t taken = 0, damaged = 0, left = 0;
    };
    const Counts& counts() const { return counts_; }

  private:
    struct Found {
        std::string path;    // below queue_directory: "deferred/3/3D703A7C108"
        std::string name;    // 3D703A7C108
        std::string queue;   // deferred
    };
    struct Work {
        Found file;
        std::string id;   // of ours
        uint64_t size = 0;
        int64_t changed = 0;
        std::shared_ptr<File> large;   // what its text goes to, when it may not fit into the journal
        std::string text;
        DeliveryLogs logs;
        StoredMessage message;
        bool nothing = false;   // all recipients are done, or it was an address probe
        bool committed = false;
        Expected<void> failure;
        bool damaged = false;
    };

    void scan();
    void scan_folder(const std::string& queue, const std::string& below, int depth);
    std::shared_ptr<Work> open(Found file);   // null: nothing to do
    void read(Work& work);                    // on any thread
    void commit(std::shared_ptr<Work> work);
    void set_aside(const Work& work);
    Task<bool> take_found();   // false: stopping
    void summary() const;
    bool remove_file(const Work& work);
    void remove_logs(const std::string& name);
    std::vector<postfix_queue::DeliveryLogEntry> read_log(const char* kind, const std::string& name);
    std::string path_of(const std::string& below) const { return directory_ + "/" + below; }
    // Where Postfix keeps a log: hashed or not.
    std::vector<std::string> log_paths(const char* kind, const std::string& name) const;

    Store& store_;
    Files& files_;
    std::string directory_;
    std::string ident_;
    Hooks hooks_;
    std::vector<Found> found_;    // what is still to do, last first
    std::vector<Found> locked_;   // by an agent of Postfix's that still delivers it: tried again
    std::vector<std::shared_ptr<Work>> batch_;
    size_t unanswered_ = 0;
    Event answered_;
    Counts counts_;
    bool scanned_ = false;
};

}   // namespace postcot::queued
