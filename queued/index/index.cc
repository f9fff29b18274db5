#include "queued/index/index.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <set>

#include "libproto/runtime/log.h"

namespace postcot::queued {

namespace {

constexpr std::string_view kLayout = "2";   // values are journal/records.h's
constexpr off_t kAhead = 2 << 20;

MDB_val value_of(std::string_view text) { return MDB_val{text.size(), const_cast<char*>(text.data())}; }
std::string_view text_of(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

std::string be64(uint64_t v) {
    std::string out(8, '\0');
    for (size_t i = 0; i < 8; ++i) out[7 - i] = static_cast<char>(v >> (8 * i));
    return out;
}

uint64_t from_be64(std::string_view in) {
    uint64_t v = 0;
    for (size_t i = 0; i < 8 && i < in.size(); ++i) v = (v << 8) | static_cast<uint8_t>(in[i]);
    return v;
}

std::string due_key(int64_t when, std::string_view id) {
    return be64(static_cast<uint64_t>(when < 0 ? 0 : when)) + std::string(id);
}

// LMDB keys are at most 511 bytes.
std::string site_key(std::string_view domain, std::string_view id) {
    std::string key(domain.substr(0, 300));
    key.push_back('\0');
    key += id;
    return key;
}

}   // namespace

std::set<std::string> pending_domains(const StoredMessage& message) {
    std::set<std::string> out;
    for (size_t i = 0; i < message.states.size(); ++i) {
        if (message.states[i].status != RecipientStatus::kPending) continue;
        const auto& address = message.envelope.recipients[i].address;
        auto at = address.rfind('@');
        if (at == std::string::npos) continue;
        std::string domain = address.substr(at + 1);
        for (char& c : domain) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        }
        out.insert(std::move(domain));
    }
    return out;
}

namespace {

class ReadTxn {
  public:
    explicit ReadTxn(MDB_env* env) {
        if (mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn_) != 0) txn_ = nullptr;
    }
    ~ReadTxn() {
        if (txn_) mdb_txn_abort(txn_);
    }
    ReadTxn(const ReadTxn&) = delete;
    ReadTxn& operator=(const ReadTxn&) = delete;
    MDB_txn* get() const { return txn_; }

  private:
    MDB_txn* txn_ = nullptr;
};

// Walks keys from `from` on until `visit` says stop.
template <class Visit>
void walk(MDB_txn* txn, MDB_dbi dbi, std::string_view from, Visit visit) {
    MDB_cursor* cursor = nullptr;
    if (!txn || mdb_cursor_open(txn, dbi, &cursor) != 0) return;
    MDB_val key = value_of(from);
    MDB_val data{};
    int rc = mdb_cursor_get(cursor, &key, &data, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
    while (rc == 0 && visit(text_of(key), text_of(data))) rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    mdb_cursor_close(cursor);
}

}   // namespace

struct Index::Impl {
    MDB_env* env = nullptr;
    MDB_dbi message = 0, due = 0, active = 0, hold = 0, site = 0, meta = 0;
    ~Impl() {
        if (env) mdb_env_close(env);
    }
};

Index::~Index() = default;

std::string current_boot_id() {
    std::ifstream in("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(in, id);
    return id;
}

Expected<std::unique_ptr<Index>> Index::open(const std::string& directory, uint64_t map_size,
                                             const std::string& boot_id) {
    std::string boot = std::string(kLayout) + " " + boot_id;
    for (int attempt = 0;; ++attempt) {
        if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, "create " + directory);
        auto impl = std::make_unique<Impl>();
        if (mdb_env_create(&impl->env) != 0) return fail(ENOMEM, "queue index: no memory");
        mdb_env_set_maxdbs(impl->env, 8);
        mdb_env_set_mapsize(impl->env, map_size);
        int rc = mdb_env_open(impl->env, directory.c_str(), MDB_NOSYNC | MDB_NOTLS | MDB_NOLOCK, 0600);
        bool usable = rc == 0;
        MDB_txn* txn = nullptr;
        Position checkpoint;
        uint64_t numbers = 0;
        if (usable) {
            rc = mdb_txn_begin(impl->env, nullptr, 0, &txn);
            auto table = [&](const char* name, MDB_dbi* dbi) {
                if (rc == 0) rc = mdb_dbi_open(txn, name, MDB_CREATE, dbi);
            };
            table("message", &impl->message);
            table("due", &impl->due);
            table("active", &impl->active);
            table("hold", &impl->hold);
            table("site", &impl->site);
            table("meta", &impl->meta);
            usable = rc == 0;
        }
        if (usable) {
            MDB_val key = value_of("boot");
            MDB_val data{};
            rc = mdb_get(txn, impl->meta, &key, &data);
            if (rc == MDB_NOTFOUND) {
                data = value_of(boot);
                rc = mdb_put(txn, impl->meta, &key, &data, 0);
            } else if (rc == 0 && text_of(data) != boot) {
                usable = false;
            }
            key = value_of("checkpoint");
            if (usable && mdb_get(txn, impl->meta, &key, &data) == 0 && data.mv_size == 24) {
                checkpoint.segment = static_cast<uint32_t>(from_be64(text_of(data).substr(0, 8)));
                checkpoint.offset = from_be64(text_of(data).substr(8, 8));
                numbers = from_be64(text_of(data).substr(16));
            }
        }
        if (usable) {
            rc = mdb_txn_commit(txn);
            usable = rc == 0;
        } else if (txn) {
            mdb_txn_abort(txn);
        }
        if (usable) {
            auto index = std::unique_ptr<Index>(new Index);
            index->impl_ = std::move(impl);
            index->checkpoint_ = checkpoint;
            index->numbers_ = numbers;
            index->reserve();
            return index;
        }
        if (attempt > 0) return fail(EIO, std::string("queue index ") + directory + ": " + mdb_strerror(rc));
        impl.reset();
        log::info("queue index {}: rebuilt from the journal", directory);
        ::unlink((directory + "/data.mdb").c_str());
        ::unlink((directory + "/lock.mdb").c_str());
    }
}

Index::Batch::Batch(Index& index) : index_(index) { check(mdb_txn_begin(index.impl_->env, nullptr, 0, &txn_)); }

Index::Batch::~Batch() {
    if (txn_) mdb_txn_abort(txn_);
}

void Index::Batch::check(int rc) {
    if (rc != 0 && rc != MDB_NOTFOUND && error_ == 0) error_ = rc;
}

std::optional<StoredMessage> Index::Batch::get(const std::string& id) {
    if (error_) return std::nullopt;
    MDB_val key = value_of(id);
    MDB_val data{};
    int rc = mdb_get(txn_, index_.impl_->message, &key, &data);
    check(rc);
    if (rc != 0) return std::nullopt;
    return decode_message(text_of(data));
}

void Index::Batch::take_out(const StoredMessage& old) {
    auto& impl = *index_.impl_;
    auto drop = [&](MDB_dbi dbi, std::string_view name) {
        MDB_val key = value_of(name);
        check(mdb_del(txn_, dbi, &key, nullptr));
    };
    drop(impl.due, due_key(old.next_attempt, old.id));
    drop(impl.active, old.id);
    drop(impl.hold, old.id);
    for (const auto& domain : pending_domains(old)) drop(impl.site, site_key(domain, old.id));
}

void Index::Batch::put(const StoredMessage& message, Place place) {
    if (error_) return;
    if (auto old = get(message.id)) take_out(*old);
    if (error_) return;
    auto& impl = *index_.impl_;
    auto store = [&](MDB_dbi dbi, std::string_view name, std::string_view content) {
        MDB_val key = value_of(name);
        MDB_val data = value_of(content);
        check(mdb_put(txn_, dbi, &key, &data, 0));
    };
    store(impl.message, message.id, encode_message(message));
    if (place == Place::kDue) {
        store(impl.due, due_key(message.next_attempt, message.id), {});
        for (const auto& domain : pending_domains(message)) store(impl.site, site_key(domain, message.id), {});
    } else {
        store(place == Place::kActive ? impl.active : impl.hold, message.id, {});
    }
}

void Index::Batch::move(const std::string& id, Place place, int64_t next_attempt) {
    auto message = get(id);
    if (!message) return;
    if (place == Place::kActive) {   // keeps the message as it is; next_attempt stays what `due` was keyed with
        take_out(*message);
        MDB_val key = value_of(id);
        MDB_val data{};
        check(mdb_put(txn_, index_.impl_->active, &key, &data, 0));
        return;
    }
    take_out(*message);
    message->next_attempt = next_attempt;
    message->hold = place == Place::kHold;
    put(*message, place);
}

void Index::Batch::erase(const std::string& id) {
    auto message = get(id);
    if (!message) return;
    take_out(*message);
    MDB_val key = value_of(id);
    check(mdb_del(txn_, index_.impl_->message, &key, nullptr));
}

void Index::Batch::set_checkpoint(Position position, uint64_t numbers) {
    if (error_) return;
    checkpoint_ = position;
    MDB_val key = value_of("checkpoint");
    std::string bytes = be64(position.segment) + be64(position.offset) + be64(numbers);
    MDB_val data = value_of(bytes);
    check(mdb_put(txn_, index_.impl_->meta, &key, &data, 0));
}

Expected<void> Index::Batch::commit() {
    if (error_ == 0) {
        int rc = mdb_txn_commit(std::exchange(txn_, nullptr));
        if (rc != 0) error_ = rc;
        // Not even the page that says what holds could be written: LMDB does nothing more. The next manager reads the journal.
        if (rc == MDB_PANIC) log::fatal("queue index: {}", mdb_strerror(rc));
    }
    if (error_ > 0) return fail_errno(error_, "queue index");   // LMDB's own codes are negative
    if (error_) return fail(error_ == MDB_MAP_FULL ? ENOSPC : EIO, std::string("queue index: ") + mdb_strerror(error_));
    if (checkpoint_) index_.checkpoint_ = *checkpoint_;
    return {};
}

std::optional<StoredMessage> Index::get(const std::string& id) const {
    ReadTxn txn(impl_->env);
    MDB_val key = value_of(id);
    MDB_val data{};
    if (!txn.get() || mdb_get(txn.get(), impl_->message, &key, &data) != 0) return std::nullopt;
    return decode_message(text_of(data));
}

std::optional<Index::Place> Index::place(const std::string& id) const {
    ReadTxn txn(impl_->env);
    MDB_val key = value_of(id);
    MDB_val data{};
    if (!txn.get() || mdb_get(txn.get(), impl_->message, &key, &data) != 0) return std::nullopt;
    if (mdb_get(txn.get(), impl_->hold, &key, &data) == 0) return Place::kHold;
    if (mdb_get(txn.get(), impl_->active, &key, &data) == 0) return Place::kActive;
    return Place::kDue;
}

std::vector<std::string> Index::due(int64_t now, size_t limit) const {
    std::vector<std::string> out;
    ReadTxn txn(impl_->env);
    walk(txn.get(), impl_->due, {}, [&](std::string_view key, std::string_view) {
        if (out.size() >= limit || key.size() < 8 || from_be64(key) > static_cast<uint64_t>(now)) return false;
        out.emplace_back(key.substr(8));
        return true;
    });
    return out;
}

std::vector<std::string> Index::due_after(int64_t when, size_t limit) const {
    std::vector<std::string> out;
    ReadTxn txn(impl_->env);
    walk(txn.get(), impl_->due, be64(static_cast<uint64_t>(when) + 1), [&](std::string_view key, std::string_view) {
        if (out.size() >= limit || key.size() < 8) return false;
        out.emplace_back(key.substr(8));
        return true;
    });
    return out;
}

std::vector<std::string> Index::active(size_t limit) const {
    std::vector<std::string> out;
    ReadTxn txn(impl_->env);
    walk(txn.get(), impl_->active, {}, [&](std::string_view key, std::string_view) {
        if (out.size() >= limit) return false;
        out.emplace_back(key);
        return true;
    });
    return out;
}

std::vector<std::string> Index::site(std::string_view domain, size_t limit) const {
    std::vector<std::string> out;
    std::string prefix = site_key(domain, {});
    ReadTxn txn(impl_->env);
    walk(txn.get(), impl_->site, prefix, [&](std::string_view key, std::string_view) {
        if (out.size() >= limit || key.substr(0, prefix.size()) != prefix) return false;
        out.emplace_back(key.substr(prefix.size()));
        return true;
    });
    return out;
}

std::vector<Index::Entry> Index::list(const std::string& after, size_t limit) const {
    std::vector<Entry> out;
    ReadTxn txn(impl_->env);
    walk(txn.get(), impl_->message, after.empty() ? after : after + '\0',
         [&](std::string_view key, std::string_view data) {
             if (out.size() >= limit) return false;
             Entry entry;
             entry.message = decode_message(data);
             MDB_val k = value_of(key);
             MDB_val ignored{};
             entry.place = mdb_get(txn.get(), impl_->hold, &k, &ignored) == 0     ? Place::kHold
                           : mdb_get(txn.get(), impl_->active, &k, &ignored) == 0 ? Place::kActive
                                                                                  : Place::kDue;
             out.push_back(std::move(entry));
             return true;
         });
    return out;
}

void Index::reserve() const {
    int fd = -1;
    struct stat st {};
    if (mdb_env_get_fd(impl_->env, &fd) != 0 || ::fstat(fd, &st) != 0) return;
    (void)::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, st.st_size + kAhead);
}

uint64_t Index::size() const {
    ReadTxn txn(impl_->env);
    MDB_stat stat{};
    if (!txn.get() || mdb_stat(txn.get(), impl_->message, &stat) != 0) return 0;
    return stat.ms_entries;
}

void Index::each(const std::function<void(const StoredMessage&)>& visit) const {
    ReadTxn txn(impl_->env);
    walk(txn.get(), impl_->message, {}, [&](std::string_view, std::string_view data) {
        visit(decode_message(data));
        return true;
    });
}

}   // namespace postcot::queued
