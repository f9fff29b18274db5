// The LMDB cache of one user: <index location>/data.mdb. Everything in it can be had again from the Maildir; delete it at any time.
//
//   folders  directory path            -> FolderRecord
//   mail     folder id, uid            -> MailRecord, full file name         what changes: flags, modseq, name
//   head     folder id, uid            -> sent date, raw header fields       what SEARCH, SORT, THREAD and HEADER.FIELDS read
//   wire     folder id, uid            -> ENVELOPE, BODYSTRUCTURE            what FETCH copies out
//   preview  folder id, uid            -> PREVIEW text
//   gone     folder id, modseq, uid    -> nothing                            expunges, for QRESYNC
//
// Keys are big-endian. Written with MDB_NOSYNC: power loss may leave nonsense, so <location>/boot-id names the boot it was written under, and another boot's
// files are deleted unread. LMDB's own lock file keeps several processes apart.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libmaildir/uidlist.h"
#include "libproto/error.h"

struct MDB_env;
struct MDB_txn;

namespace postcot::maildir {

struct DirMark {
    int64_t seconds = 0;
    int64_t nanoseconds = 0;
    uint64_t inode = 0;
    bool operator==(const DirMark&) const = default;
    static DirMark of(const struct stat& status);
};

struct FolderRecord {
    static constexpr uint32_t kFormat = 1;
    uint32_t format = kFormat;
    uint32_t id = 0;   // 0: not in the index
    uint32_t uid_validity = 0;
    uint32_t next_uid = 1;
    uint32_t first_recent = 1;   // \Recent: UIDs from here on
    uint32_t messages = 0, unseen = 0, deleted = 0, recent = 0;
    uint32_t unused_word = 0;
    uint64_t highest_modseq = 1;
    uint64_t generation = 0;   // one more for every change of the folder's mail records
    uint64_t gone_floor = 0;   // `gone` is complete from this modseq on
    DirMark cur, fresh;        // of cur/ and new/ before the last scan
    FileMark uidlist;
    // 0: the marks tell all. 1: scanned so soon after a change that they may not show the next: scan again. 2: they were taken after a change of our own, which
    // may hide another's in the same moment: scan again when two seconds have gone by.
    uint8_t racy = 0;
    uint8_t unused[7] = {};
};

struct MailRecord {
    uint64_t modseq = 0;
    uint64_t size = UINT64_MAX;   // CRLF form; UINT64_MAX: not known yet
    int64_t date = INT64_MIN;     // INT64_MIN: not known yet
    uint32_t keywords = 0;
    uint8_t system = 0;
    uint8_t in_new = 0;
    uint16_t unused = 0;
};

class Index {
  public:
    // One per directory in a process, as LMDB demands. Thread-safe.
    static Expected<std::shared_ptr<Index>> open(const std::string& directory, uint64_t max_bytes);
    ~Index();
    Index(const Index&) = delete;
    Index& operator=(const Index&) = delete;

    std::optional<FolderRecord> folder(const std::string& path);
    // Calls `fn(uid, record, name)` in UID order.
    bool load(uint32_t folder_id, const std::function<void(uint32_t, const MailRecord&, std::string_view)>& fn);

    enum Db { kFolders, kMail, kHead, kWire, kPreview, kGone, kDbCount };
    // Copied into `out`; false: not cached.
    bool get(Db db, uint32_t folder_id, uint32_t uid, std::string& out);
    // In UID order, without copying; `fn` returns false to stop. Views live during the call only.
    void scan(Db db, uint32_t folder_id, const std::function<bool(uint32_t uid, std::string_view)>& fn);
    // UIDs expunged after `since`.
    std::vector<uint32_t> gone_since(uint32_t folder_id, uint64_t since);

    // One write transaction; aborted unless commit() was called. Any failure makes the later calls no-ops and commit() false: a cache may be lost.
    class Write {
      public:
        explicit Write(Index& index);
        ~Write();
        std::optional<FolderRecord> folder(const std::string& path);
        void put_folder(const std::string& path, FolderRecord& record);   // gives it an id when it has none
        void put_mail(uint32_t folder_id, uint32_t uid, const MailRecord& record, std::string_view name);
        void put(Db db, uint32_t folder_id, uint32_t uid, std::string_view value);
        void erase_mail(uint32_t folder_id, uint32_t uid);   // with all that is cached of it
        void put_gone(uint32_t folder_id, uint64_t modseq, uint32_t uid);
        void erase_folder(const std::string& path);   // with all its mail
        void move_folder(const std::string& from, const std::string& to);
        bool commit();

      private:
        void erase_range(Db db, uint32_t folder_id);
        Index& index_;
        MDB_txn* txn_ = nullptr;
        bool ok_ = false;
    };

  private:
    Index() = default;
    struct Reader;
    MDB_env* env_ = nullptr;
    std::mutex pool_mutex_;
    std::vector<MDB_txn*> pool_;   // reset read-only transactions
    unsigned db_[kDbCount] = {};
};

}   // namespace postcot::maildir
