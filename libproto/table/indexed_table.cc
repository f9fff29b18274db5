// hash, btree and lmdb: an LMDB file made by postmap beside its text source. Without an index, or when the source is newer than it, the source itself is
// read, so that an edit counts even before postmap ran; an index in Berkeley DB's format (another system's postmap made it) is passed over the same way.
#include <sys/stat.h>

#include <chrono>
#include <unordered_map>

#include "libproto/config/read_text.h"
#include "libproto/table/lmdb_file.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

using Clock = std::chrono::steady_clock;

// What tells one version of a file from the next.
struct FileId {
    ino_t inode = 0;
    off_t size = -1;
    timespec modified{};

    bool operator==(const FileId& other) const {
        return inode == other.inode && size == other.size && modified.tv_sec == other.modified.tv_sec &&
               modified.tv_nsec == other.modified.tv_nsec;
    }
    bool exists() const { return size >= 0; }
    bool newer_than(const FileId& other) const {
        return modified.tv_sec != other.modified.tv_sec ? modified.tv_sec > other.modified.tv_sec
                                                        : modified.tv_nsec > other.modified.tv_nsec;
    }
    static FileId of(const std::string& path) {
        struct stat found {};
        FileId id;
        if (::stat(path.c_str(), &found) == 0) {
            id.inode = found.st_ino;
            id.size = found.st_size;
            id.modified = found.st_mtim;
        }
        return id;
    }
};

class IndexedTable final : public Table {
  public:
    IndexedTable(std::string source, std::string index, SourceFormat format)
        : source_(std::move(source)), index_(std::move(index)), format_(format) {
        refresh();
    }

    Expected<std::optional<std::string>> lookup(std::string_view key) override {
        auto now = Clock::now();
        if (now - checked_ >= std::chrono::seconds(1)) {
            checked_ = now;
            if (!(FileId::of(source_) == source_id_) || !(FileId::of(index_) == index_id_)) refresh();
        }
        if (!error_.text.empty()) return fail(error_);
        std::string folded = fold_key(key);
        if (file_) return file_->get(folded);
        auto found = text_.find(folded);
        if (found == text_.end()) return std::nullopt;
        return found->second;
    }

  private:
    void refresh() {
        checked_ = Clock::now();
        source_id_ = FileId::of(source_);
        index_id_ = FileId::of(index_);
        file_.reset();
        text_.clear();
        error_ = {};
        bool stale = source_id_.exists() && source_id_.newer_than(index_id_);
        if (index_id_.exists() && !stale && is_lmdb_file(index_)) {
            auto opened = LmdbFile::open(index_);
            if (opened) {
                file_ = std::move(*opened);
            } else {
                error_ = opened.error();
            }
            return;
        }
        if (!source_id_.exists()) {
            error_ = Error{ENOENT,
                           {},
                           "open database " + index_ + ": " +
                               (index_id_.exists() ? "not an LMDB file" : "No such file or directory")};
            return;
        }
        auto text = config::read_text(source_);
        if (!text) {
            error_ = text.error();
            return;
        }
        auto source = read_source(*text, source_, format_);
        warnings_ = std::move(source.warnings);
        for (auto& entry : source.entries)
            text_.emplace(fold_key(entry.key), std::move(entry.value));   // the first one counts
    }

    std::string source_;
    std::string index_;
    SourceFormat format_;
    Clock::time_point checked_{};
    FileId source_id_;
    FileId index_id_;
    std::unique_ptr<LmdbFile> file_;
    std::unordered_map<std::string, std::string> text_;
    Error error_;
};

}   // namespace

std::string index_path(std::string_view type, const std::string& source) {
    return source + (type == "lmdb" ? ".lmdb" : ".db");
}

std::unique_ptr<Table> open_indexed(std::string_view type, const std::string& source, SourceFormat format) {
    return std::make_unique<IndexedTable>(source, index_path(type, source), format);
}

}   // namespace postcot::table
