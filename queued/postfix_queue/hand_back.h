// Gives the queue back: what is not delivered becomes queue files for Postfix's qmgr(8), or files in a folder for any mail system. Each message is in one place only.
//
// For Postfix, some messages at a time:
//   1. their files are written below handback/, which Postfix does not look at, and synced;
//   2. handback/batch, synced, names the messages and where each file will go;
//   3. the files are renamed to there, and the folders synced: now they are Postfix's;
//   4. the journal forgets the messages; handback/batch goes.
// Stopped half way, recover() completes it: a message in handback/batch whose file still lies in handback/ is ours, one whose file is gone from there is
// Postfix's, even if Postfix has delivered it since.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "libproto/runtime/loop.h"
#include "queued/postfix_queue/convert.h"
#include "queued/store/store.h"

namespace postcot::queued {

struct HandBackSettings {
    std::string directory;   // queue_directory
    std::string ident;       // for the log
    bool long_queue_ids = false;
    size_t hash_depth = 1;
    std::set<std::string> hash_names = {"deferred", "defer"};
    int64_t delay_warning = 0;
    std::function<int64_t()> now;
};

class HandBack {
  public:
    HandBack(Store& store, HandBackSettings settings);

    // After Store::open(), before anything is delivered. GroupCommit must be running, here and below.
    Task<Expected<void>> recover();
    // All that is in the index. The number of messages.
    Task<Expected<uint64_t>> to_postfix();
    // <id>.eml, <id>.envelope and the script `reinject`, in an existing folder. With `keep`, the messages stay ours, too.
    Task<Expected<uint64_t>> to_folder(std::string folder, bool keep);

  private:
    struct Staged {
        StoredMessage message;
        std::string path;   // below queue_directory
    };
    Expected<Staged> stage(const StoredMessage& message);
    Expected<void> write_log(const char* kind, const std::string& name,
                             const std::vector<postfix_queue::DeliveryLogEntry>& entries);
    Expected<void> publish(const std::vector<Staged>& batch);
    Expected<void> write_plain(const std::string& folder, const StoredMessage& message);
    Expected<void> copy_text(const StoredMessage& message, const std::function<Expected<void>(std::string_view)>& to);
    Task<Expected<void>> forget(std::vector<StoredMessage> messages);
    Expected<std::string> place(const std::string& queue, const std::string& name);   // makes the folders
    std::string path_of(const std::string& below) const { return settings_.directory + "/" + below; }

    Store& store_;
    Files& files_;
    HandBackSettings settings_;
    std::set<std::string> dirty_;   // folders to sync
};

}   // namespace postcot::queued
