#include "libproto/table/lmdb_file.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace postcot::table {
namespace {

tl::unexpected<Error> fail_lmdb(int rc, const std::string& what) {
    return fail(rc > 0 ? rc : EIO, what + ": " + ::mdb_strerror(rc));
}

MDB_val to_val(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

std::string_view to_view(const MDB_val& value) {
    std::string_view text(static_cast<const char*>(value.mv_data), value.mv_size);
    if (!text.empty() && text.back() == '\0') text.remove_suffix(1);
    return text;
}

}   // namespace

struct LmdbFile::Handles {
    MDB_env* env = nullptr;
    MDB_dbi dbi = 0;
    std::string path;
    ~Handles() {
        if (env) ::mdb_env_close(env);
    }
};

LmdbFile::LmdbFile(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}
LmdbFile::~LmdbFile() = default;

Expected<std::unique_ptr<LmdbFile>> LmdbFile::open(const std::string& path) {
    auto handles = std::make_unique<Handles>();
    handles->path = path;
    if (int rc = ::mdb_env_create(&handles->env)) return fail_lmdb(rc, "open database " + path);
    if (int rc = ::mdb_env_open(handles->env, path.c_str(), MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0)) {
        return fail_lmdb(rc, "open database " + path);
    }
    MDB_txn* txn = nullptr;
    if (int rc = ::mdb_txn_begin(handles->env, nullptr, MDB_RDONLY, &txn))
        return fail_lmdb(rc, "open database " + path);
    int rc = ::mdb_dbi_open(txn, nullptr, 0, &handles->dbi);
    ::mdb_txn_abort(txn);
    if (rc) return fail_lmdb(rc, "open database " + path);
    return std::unique_ptr<LmdbFile>(new LmdbFile(std::move(handles)));
}

Expected<std::optional<std::string>> LmdbFile::get(std::string_view key) const {
    if (key.empty() || key.size() + 1 > static_cast<size_t>(::mdb_env_get_maxkeysize(handles_->env)))
        return std::nullopt;
    MDB_txn* txn = nullptr;
    if (int rc = ::mdb_txn_begin(handles_->env, nullptr, MDB_RDONLY, &txn))
        return fail_lmdb(rc, "read database " + handles_->path);
    std::optional<std::string> found;
    std::string with_nul(key);
    with_nul += '\0';
    int rc = 0;
    for (std::string_view wanted : {key, std::string_view(with_nul)}) {
        MDB_val k = to_val(wanted);
        MDB_val v{};
        rc = ::mdb_get(txn, handles_->dbi, &k, &v);
        if (rc == 0) {
            found = std::string(to_view(v));
            break;
        }
        if (rc != MDB_NOTFOUND) break;
    }
    ::mdb_txn_abort(txn);
    if (rc && rc != MDB_NOTFOUND) return fail_lmdb(rc, "read database " + handles_->path);
    return found;
}

Expected<void> LmdbFile::walk(const std::function<bool(std::string_view, std::string_view)>& each) const {
    MDB_txn* txn = nullptr;
    if (int rc = ::mdb_txn_begin(handles_->env, nullptr, MDB_RDONLY, &txn))
        return fail_lmdb(rc, "read database " + handles_->path);
    MDB_cursor* cursor = nullptr;
    int rc = ::mdb_cursor_open(txn, handles_->dbi, &cursor);
    if (rc == 0) {
        MDB_val k{};
        MDB_val v{};
        while ((rc = ::mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
            if (!each(to_view(k), to_view(v))) break;
        }
        ::mdb_cursor_close(cursor);
    }
    ::mdb_txn_abort(txn);
    if (rc && rc != MDB_NOTFOUND) return fail_lmdb(rc, "read database " + handles_->path);
    return {};
}

bool is_lmdb_file(const std::string& path) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return false;
    char head[24] = {};
    ssize_t got = ::pread(fd, head, sizeof head, 0);
    ::close(fd);
    uint32_t magic = 0;
    std::memcpy(&magic, head + 16, sizeof magic);   // behind the page header
    return got == sizeof head && magic == 0xBEEFC0DE;
}

namespace {

// MDB_MAP_FULL asks for a bigger map: the caller tries again with twice the size.
int fill(MDB_env* env, const std::vector<std::pair<std::string, std::string>>& entries, std::string& bad_key) {
    MDB_txn* txn = nullptr;
    int rc = ::mdb_txn_begin(env, nullptr, 0, &txn);
    if (rc) return rc;
    MDB_dbi dbi = 0;
    rc = ::mdb_dbi_open(txn, nullptr, MDB_CREATE, &dbi);
    for (size_t i = 0; rc == 0 && i < entries.size(); ++i) {
        MDB_val k = to_val(entries[i].first);
        MDB_val v = to_val(entries[i].second);
        rc = ::mdb_put(txn, dbi, &k, &v, 0);
        if (rc == MDB_BAD_VALSIZE) bad_key = entries[i].first;
    }
    if (rc == 0) return ::mdb_txn_commit(txn);
    ::mdb_txn_abort(txn);
    return rc;
}

int build(const std::string& path, const std::vector<std::pair<std::string, std::string>>& entries, size_t map_size,
          unsigned mode, std::string& bad_key) {
    MDB_env* env = nullptr;
    int rc = ::mdb_env_create(&env);
    if (rc) return rc;
    rc = ::mdb_env_set_mapsize(env, map_size);
    if (rc == 0) rc = ::mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, mode);
    if (rc == 0) rc = fill(env, entries, bad_key);
    if (rc == 0) rc = ::mdb_env_sync(env, 1);
    ::mdb_env_close(env);
    return rc;
}

}   // namespace

Expected<void> write_lmdb_file(const std::string& path, const std::vector<std::pair<std::string, std::string>>& entries,
                               const FileOwner& owner) {
    size_t bytes = size_t{1} << 20;
    for (const auto& [key, value] : entries) bytes += 2 * (key.size() + value.size() + 64);
    std::string temporary = path + ".tmp";
    std::string bad_key;
    for (int attempt = 0;; ++attempt) {
        ::unlink(temporary.c_str());
        int rc = build(temporary, entries, bytes, 0600, bad_key);
        if (rc == 0) break;
        if (rc == MDB_MAP_FULL && attempt < 8) {
            bytes *= 2;
            continue;
        }
        ::unlink(temporary.c_str());
        if (!bad_key.empty())
            return fail(EINVAL, "update database " + path + ": the key is too long: " + bad_key.substr(0, 60));
        return fail_lmdb(rc, "update database " + path);
    }
    if (::geteuid() == 0 && ::chown(temporary.c_str(), owner.uid, owner.gid) != 0) {
        int saved = errno;
        ::unlink(temporary.c_str());
        return fail_errno(saved, "chown " + temporary);
    }
    if (::chmod(temporary.c_str(), owner.mode) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
        int saved = errno;
        ::unlink(temporary.c_str());
        return fail_errno(saved, "rename " + temporary + " to " + path);
    }
    return {};
}

}   // namespace postcot::table
