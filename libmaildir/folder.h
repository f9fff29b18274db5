// One Maildir directory as this process knows it: its messages in UID order, kept in step with the disk, with Dovecot's side files and with the index.
// Mailbox views show it; one Folder is shared by all views of a store.
//
// Rules that hold the files together:
//   - cur/, new/ and dovecot-uidlist are looked at (stat) on every refresh(), and listed only if one of them changed.
//   - Listing, giving UIDs, renaming for flags and removing happen under dovecot-uidlist.lock. Deliveries into new/ do not need it.
//   - A UID is in dovecot-uidlist and synced before anyone hears of it.
//   - A message gone from one listing is gone only if a second one does not show it either: readdir(3) may miss a file being renamed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libmaildir/dotlock.h"
#include "libmaildir/index.h"
#include "libmaildir/store.h"
#include "libmaildir/types.h"
#include "libmaildir/uidlist.h"

namespace postcot::maildir {

struct Entry {
    uint32_t uid = 0;
    uint32_t keywords = 0;
    uint64_t modseq = 0;
    uint64_t size = UINT64_MAX;   // CRLF form; UINT64_MAX: not known yet
    int64_t date = INT64_MIN;     // INT64_MIN: not known yet
    uint32_t name = 0;            // offset of the file name
    uint16_t name_length = 0;
    uint8_t system = 0;
    uint8_t in_new = 0;
    FlagSet flags() const { return {system, keywords}; }
};

struct FolderPaths {
    std::string directory;   // holds cur, new, tmp
    std::string control;     // holds dovecot-uidlist, dovecot-keywords
    std::string root;        // holds dovecot-uidvalidity
};

class Folder {
  public:
    Folder(Files& files, FolderPaths paths, std::shared_ptr<Index> index);
    ~Folder();

    // Up to date with the disk; whether anything changed. `move_new`: what is in new/ goes to cur/ (SELECT; not EXAMINE or STATUS).
    Expected<bool> refresh(bool move_new);
    // STATUS without loading the messages: the index's counters if the disk is as they say.
    std::optional<FolderRecord> unchanged_record();

    const std::vector<Entry>& entries() const { return entries_; }
    std::string_view name_of(const Entry& entry) const { return {names_.data() + entry.name, entry.name_length}; }
    std::string path_of(const Entry& entry) const;
    size_t position(uint32_t uid) const;   // first entry with this UID or a higher one
    Entry* find(uint32_t uid);
    uint64_t version() const { return version_; }   // one more for every change seen
    uint32_t uid_validity() const { return record_.uid_validity; }
    uint32_t next_uid() const { return record_.next_uid; }
    uint64_t highest_modseq() const { return record_.highest_modseq; }
    uint32_t first_recent() const { return record_.first_recent; }
    const FolderRecord& record() const { return record_; }
    const std::vector<std::string>& keywords() const { return keywords_; }
    const FolderPaths& paths() const { return paths_; }
    Files& files() const { return files_; }
    Index* index() const { return index_.get(); }
    const std::string& guid();

    // \Recent is given away: UIDs from here on are the next session's.
    void claim_recent();

    // Bits of the named keywords, made when absent.
    Expected<uint32_t> keyword_bits(const std::vector<std::string>& names);
    uint32_t known_keyword_bits(const std::vector<std::string>& names) const;

    // Renames. `decide` sees each message as it is now and says its new flags, or nothing to leave it. UIDs that are gone are returned.
    Expected<std::vector<uint32_t>> set_flags(const std::vector<uint32_t>& uids,
                                              const std::function<std::optional<FlagSet>(const Entry&)>& decide);
    // Unlinks those that `decide` still wants gone; returns how many.
    Expected<uint32_t> remove(const std::vector<uint32_t>& uids, const std::function<bool(const Entry&)>& decide);
    // The files have been moved away (MOVE): forgets them.
    Expected<void> forget(const std::vector<uint32_t>& uids);

    // Files already durable elsewhere become messages: gives UIDs, writes them to dovecot-uidlist, then calls `place(i, final path)` for each, and syncs cur/.
    struct Incoming {
        std::string base;
        FlagSet flags;
    };
    Expected<std::vector<Uid>> add(const std::vector<Incoming>& incoming,
                                   const std::function<Expected<void>(size_t, const std::string&)>& place);

    // Learned while reading a message.
    void learned(Entry& entry, uint64_t size, int64_t date);
    // What was read of a message for the cache (head and wire records); written in batches.
    void cache(uint32_t uid, std::string head, std::string wire);
    bool cached(Index::Db db, uint32_t uid, std::string& out);
    void cache_preview(uint32_t uid, std::string_view text);
    void flush_cache();

    // The file behind a UID under its present name, after a rename by someone else; ENOENT (EXPUNGEISSUED) when it is gone.
    Expected<std::string> locate_again(uint32_t uid);

  private:
    struct Marks {
        DirMark cur, fresh;
        FileMark uidlist;
    };
    struct Listing;
    Expected<Marks> look() const;
    bool same(const Marks& marks) const;
    bool is_racy(const Marks& marks) const;
    Expected<DotLock> lock();
    Expected<DotLock> lock_and_refresh();
    void own_change();
    bool reload_if_newer();
    Expected<bool> scan(const Marks& marks, bool move_new);
    Expected<bool> give_uids(std::vector<struct Found>& found, bool first_time, bool& new_validity);
    void add_name(Entry& entry, std::string_view name);
    void count();
    uint64_t next_modseq() const;
    void save(const std::vector<uint32_t>& changed, const std::vector<uint32_t>& gone, bool everything);
    void read_keywords_file();
    void compact_names();

    Files& files_;
    FolderPaths paths_;
    std::string uidlist_path_, keywords_path_, cur_, new_;
    std::shared_ptr<Index> index_;
    FolderRecord record_;
    std::vector<Entry> entries_;
    std::string names_;
    std::vector<std::string> keywords_;
    FileMark keywords_mark_;
    std::string guid_;
    uint64_t version_ = 1;
    bool loaded_ = false;
    bool complete_ = true;     // no message was left out for want of room
    bool first_scan_ = true;   // nothing known of this folder but what the files say

    struct Pending {
        uint32_t uid;
        std::string head, wire;
    };
    std::vector<Pending> pending_;
    std::unordered_map<uint32_t, size_t> pending_at_;
    size_t pending_bytes_ = 0;
    std::vector<uint32_t> learned_;   // UIDs whose record has a size or date not yet written
};

}   // namespace postcot::maildir
