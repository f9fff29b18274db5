#include "libmaildir/index.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>

#include "libproto/runtime/fd.h"

namespace postcot::maildir {

namespace {

// LMDB must not open one environment twice in a process.
struct Registry {
    std::mutex mutex;
    std::map<std::string, std::weak_ptr<Index>> open;
};
Registry& registry() {
    static Registry instance;
    return instance;
}

void put_u32(char* p, uint32_t v) {
    for (int i = 0; i < 4; ++i) p[i] = static_cast<char>(v >> (24 - 8 * i));
}
void put_u64(char* p, uint64_t v) {
    for (int i = 0; i < 8; ++i) p[i] = static_cast<char>(v >> (56 - 8 * i));
}
uint32_t get_u32(const char* p) {
    uint32_t v = 0;
    for (int i = 0; i < 4; ++i) v = (v << 8) | static_cast<unsigned char>(p[i]);
    return v;
}

struct MailKey {
    char bytes[8];
    MailKey(uint32_t folder, uint32_t uid) {
        put_u32(bytes, folder);
        put_u32(bytes + 4, uid);
    }
    MDB_val val() { return {sizeof bytes, bytes}; }
};
struct GoneKey {
    char bytes[16];
    GoneKey(uint32_t folder, uint64_t modseq, uint32_t uid) {
        put_u32(bytes, folder);
        put_u64(bytes + 4, modseq);
        put_u32(bytes + 12, uid);
    }
    MDB_val val() { return {sizeof bytes, bytes}; }
};

// LMDB keys are at most 511 octets.
std::string folder_key(const std::string& path) {
    if (path.size() < 480) return path;
    return fmt::format("{}#{:016x}", path.substr(0, 440), std::hash<std::string>{}(path));
}

std::optional<FolderRecord> read_folder(MDB_txn* txn, unsigned db, const std::string& path) {
    std::string name = folder_key(path);
    MDB_val key{name.size(), name.data()}, data;
    if (mdb_get(txn, db, &key, &data) != 0 || data.mv_size != sizeof(FolderRecord)) return std::nullopt;
    FolderRecord record;
    std::memcpy(&record, data.mv_data, sizeof record);
    if (record.format != FolderRecord::kFormat) return std::nullopt;
    return record;
}

std::string boot_id() {
    std::string id = "none";
    UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    char buffer[64];
    if (fd) {
        ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n > 0) id.assign(buffer, static_cast<size_t>(n));
    }
    return fmt::format("{} {}\n", FolderRecord::kFormat, id);
}

// Deletes what another boot (or another format) left. Under a file lock, so that no process opens what the next one deletes.
Expected<UniqueFd> prepare(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, "mkdir " + directory);
    std::string path = directory + "/boot-id";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno(errno, "open " + path);
    if (::flock(fd.get(), LOCK_EX) != 0) return fail_errno(errno, "flock " + path);
    char buffer[128];
    ssize_t n = ::pread(fd.get(), buffer, sizeof buffer, 0);
    std::string now = boot_id();
    if (n < 0 || std::string_view(buffer, static_cast<size_t>(n)) != now) {
        (void)::unlink((directory + "/data.mdb").c_str());
        (void)::unlink((directory + "/lock.mdb").c_str());
        if (::ftruncate(fd.get(), 0) != 0 ||
            ::pwrite(fd.get(), now.data(), now.size(), 0) != static_cast<ssize_t>(now.size()))
            return fail_errno(errno, "write " + path);
    }
    return fd;   // locked until closed
}

// LMDB makes its lock file with ftruncate and writes to it as memory: a hole that the disk has no room for would be SIGBUS.
Expected<void> make_lock_file(const std::string& directory) {
    constexpr off_t kLockFile = 8192;   // 126 readers, LMDB's default
    std::string path = directory + "/lock.mdb";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno(errno, "open " + path);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, "stat " + path);
    if (int error = ::posix_fallocate(fd.get(), 0, std::max(status.st_size, kLockFile)); error != 0) {
        if (status.st_size == 0) (void)::unlink(path.c_str());
        return fail_errno(error, "allocate " + path);
    }
    return {};
}

}   // namespace

DirMark DirMark::of(const struct stat& status) {
    return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, static_cast<uint64_t>(status.st_ino)};
}

// A read-only transaction for one use, from the pool: renewing one is cheaper than beginning one, and none stays open to keep old pages alive.
struct Index::Reader {
    explicit Reader(Index& index) : index_(index) {
        {
            std::lock_guard hold(index_.pool_mutex_);
            if (!index_.pool_.empty()) {
                txn_ = index_.pool_.back();
                index_.pool_.pop_back();
            }
        }
        ok = (txn_ ? mdb_txn_renew(txn_) : mdb_txn_begin(index_.env_, nullptr, MDB_RDONLY, &txn_)) == 0;
    }
    ~Reader() {
        if (!ok) {
            if (txn_) mdb_txn_abort(txn_);
            return;
        }
        mdb_txn_reset(txn_);
        std::lock_guard hold(index_.pool_mutex_);
        index_.pool_.push_back(txn_);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    MDB_txn* txn() const { return txn_; }
    bool ok;

  private:
    Index& index_;
    MDB_txn* txn_ = nullptr;
};

Expected<std::shared_ptr<Index>> Index::open(const std::string& directory, uint64_t max_bytes) {
    Registry& all = registry();
    std::lock_guard hold(all.mutex);
    std::weak_ptr<Index>& slot = all.open[directory];
    if (auto index = slot.lock()) return index;
    auto lock = prepare(directory);
    if (!lock) return fail(lock.error());
    if (auto made = make_lock_file(directory); !made) return fail(made.error());
    std::shared_ptr<Index> index(new Index);
    int rc = mdb_env_create(&index->env_);
    if (rc == 0) rc = mdb_env_set_maxdbs(index->env_, kDbCount);
    if (rc == 0) rc = mdb_env_set_mapsize(index->env_, max_bytes);
    if (rc == 0) rc = mdb_env_open(index->env_, directory.c_str(), MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    MDB_txn* txn = nullptr;
    int dead = 0;
    if (rc == 0) (void)mdb_reader_check(index->env_, &dead);
    if (rc == 0) rc = mdb_txn_begin(index->env_, nullptr, 0, &txn);
    static constexpr const char* kNames[kDbCount] = {"folders", "mail", "head", "wire", "preview", "gone"};
    for (int i = 0; i < kDbCount && rc == 0; ++i) rc = mdb_dbi_open(txn, kNames[i], MDB_CREATE, &index->db_[i]);
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
    } else if (txn) {
        mdb_txn_abort(txn);
    }
    if (rc != 0) {
        // Whatever is there is of no use: the next opening starts anew.
        (void)!::ftruncate(lock->get(), 0);
        return fail(EIO, fmt::format("{}: {}", directory, mdb_strerror(rc)));
    }
    slot = index;
    return index;
}

Index::~Index() {
    for (MDB_txn* txn : pool_) mdb_txn_abort(txn);
    if (env_) mdb_env_close(env_);
}

std::optional<FolderRecord> Index::folder(const std::string& path) {
    Reader reader(*this);
    if (!reader.ok) return std::nullopt;
    return read_folder(reader.txn(), db_[kFolders], path);
}

bool Index::load(uint32_t folder_id, const std::function<void(uint32_t, const MailRecord&, std::string_view)>& fn) {
    bool good = true;
    scan(kMail, folder_id, [&](uint32_t uid, std::string_view value) {
        if (value.size() <= sizeof(MailRecord)) {
            good = false;
            return false;
        }
        MailRecord record;
        std::memcpy(&record, value.data(), sizeof record);
        fn(uid, record, value.substr(sizeof record));
        return true;
    });
    return good;
}

bool Index::get(Db db, uint32_t folder_id, uint32_t uid, std::string& out) {
    Reader reader(*this);
    if (!reader.ok) return false;
    MailKey mail(folder_id, uid);
    MDB_val key = mail.val(), data;
    if (mdb_get(reader.txn(), db_[db], &key, &data) != 0) return false;
    out.assign(static_cast<const char*>(data.mv_data), data.mv_size);
    return true;
}

void Index::scan(Db db, uint32_t folder_id, const std::function<bool(uint32_t, std::string_view)>& fn) {
    Reader reader(*this);
    if (!reader.ok) return;
    MDB_cursor* cursor = nullptr;
    if (mdb_cursor_open(reader.txn(), db_[db], &cursor) != 0) return;
    MailKey first(folder_id, 0);
    MDB_val key = first.val(), data;
    for (int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE); rc == 0;
         rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        const char* bytes = static_cast<const char*>(key.mv_data);
        if (key.mv_size != 8 || get_u32(bytes) != folder_id) break;
        if (!fn(get_u32(bytes + 4), {static_cast<const char*>(data.mv_data), data.mv_size})) break;
    }
    mdb_cursor_close(cursor);
}

std::vector<uint32_t> Index::gone_since(uint32_t folder_id, uint64_t since) {
    std::vector<uint32_t> uids;
    Reader reader(*this);
    MDB_cursor* cursor = nullptr;
    if (!reader.ok || mdb_cursor_open(reader.txn(), db_[kGone], &cursor) != 0) return uids;
    GoneKey first(folder_id, since + 1, 0);
    MDB_val key = first.val(), data;
    for (int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE); rc == 0;
         rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        const char* bytes = static_cast<const char*>(key.mv_data);
        if (key.mv_size != 16 || get_u32(bytes) != folder_id) break;
        uids.push_back(get_u32(bytes + 12));
    }
    mdb_cursor_close(cursor);
    return uids;
}

Index::Write::Write(Index& index) : index_(index) {
    ok_ = mdb_txn_begin(index_.env_, nullptr, 0, &txn_) == 0;
    if (!ok_) txn_ = nullptr;
}

Index::Write::~Write() {
    if (txn_) mdb_txn_abort(txn_);
}

std::optional<FolderRecord> Index::Write::folder(const std::string& path) {
    if (!ok_) return std::nullopt;
    return read_folder(txn_, index_.db_[kFolders], path);
}

void Index::Write::put_folder(const std::string& path, FolderRecord& record) {
    if (!ok_) return;
    if (record.id == 0) {
        // The last id given out is kept under the empty-looking key "#": ids are never used again.
        char name[] = "#";
        MDB_val key{1, name}, data;
        uint32_t last = 0;
        if (mdb_get(txn_, index_.db_[kFolders], &key, &data) == 0 && data.mv_size == 4)
            last = get_u32(static_cast<const char*>(data.mv_data));
        char value[4];
        put_u32(value, last + 1);
        data = {4, value};
        ok_ = mdb_put(txn_, index_.db_[kFolders], &key, &data, 0) == 0;
        record.id = last + 1;
        if (!ok_) return;
    }
    std::string name = folder_key(path);
    MDB_val key{name.size(), name.data()}, data{sizeof record, &record};
    ok_ = mdb_put(txn_, index_.db_[kFolders], &key, &data, 0) == 0;
}

void Index::Write::put_mail(uint32_t folder_id, uint32_t uid, const MailRecord& record, std::string_view name) {
    if (!ok_) return;
    MailKey mail(folder_id, uid);
    MDB_val key = mail.val(), data{sizeof record + name.size(), nullptr};
    ok_ = mdb_put(txn_, index_.db_[kMail], &key, &data, MDB_RESERVE) == 0;
    if (!ok_) return;
    char* to = static_cast<char*>(data.mv_data);
    std::memcpy(to, &record, sizeof record);
    std::memcpy(to + sizeof record, name.data(), name.size());
}

void Index::Write::put(Db db, uint32_t folder_id, uint32_t uid, std::string_view value) {
    if (!ok_) return;
    MailKey mail(folder_id, uid);
    MDB_val key = mail.val(), data{value.size(), const_cast<char*>(value.data())};
    ok_ = mdb_put(txn_, index_.db_[db], &key, &data, 0) == 0;
}

void Index::Write::erase_mail(uint32_t folder_id, uint32_t uid) {
    if (!ok_) return;
    for (Db db : {kMail, kHead, kWire, kPreview}) {
        MailKey mail(folder_id, uid);
        MDB_val key = mail.val();
        int rc = mdb_del(txn_, index_.db_[db], &key, nullptr);
        if (rc != 0 && rc != MDB_NOTFOUND) ok_ = false;
    }
}

void Index::Write::put_gone(uint32_t folder_id, uint64_t modseq, uint32_t uid) {
    if (!ok_) return;
    GoneKey gone(folder_id, modseq, uid);
    MDB_val key = gone.val(), data{0, nullptr};
    ok_ = mdb_put(txn_, index_.db_[kGone], &key, &data, 0) == 0;
}

void Index::Write::erase_range(Db db, uint32_t folder_id) {
    MDB_cursor* cursor = nullptr;
    if (!ok_ || mdb_cursor_open(txn_, index_.db_[db], &cursor) != 0) return;
    char start[4];
    put_u32(start, folder_id);
    for (;;) {
        MDB_val key{sizeof start, start}, data;
        if (mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE) != 0) break;
        if (key.mv_size < 4 || std::memcmp(key.mv_data, start, 4) != 0) break;
        if (mdb_cursor_del(cursor, 0) != 0) {
            ok_ = false;
            break;
        }
    }
    mdb_cursor_close(cursor);
}

void Index::Write::erase_folder(const std::string& path) {
    auto record = folder(path);
    if (!record) return;
    for (Db db : {kMail, kHead, kWire, kPreview, kGone}) erase_range(db, record->id);
    std::string name = folder_key(path);
    MDB_val key{name.size(), name.data()};
    if (ok_) (void)mdb_del(txn_, index_.db_[kFolders], &key, nullptr);
}

void Index::Write::move_folder(const std::string& from, const std::string& to) {
    auto record = folder(from);
    if (!record) return;
    erase_folder(to);
    std::string name = folder_key(from);
    MDB_val key{name.size(), name.data()};
    if (ok_) (void)mdb_del(txn_, index_.db_[kFolders], &key, nullptr);
    put_folder(to, *record);
}

bool Index::Write::commit() {
    if (!txn_) return false;
    MDB_txn* txn = std::exchange(txn_, nullptr);
    if (!ok_) {
        mdb_txn_abort(txn);
        return false;
    }
    return mdb_txn_commit(txn) == 0;
}

}   // namespace postcot::maildir
