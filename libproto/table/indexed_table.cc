// hash, btree and lmdb: an LMDB file made by postmap beside its text source. Without an index, or when the source is newer than it, the source itself is
// read, so that an edit counts even before postmap ran; an index in Berkeley DB's format (another system's postmap made it) is passed over the same way.
#include <chrono>
#include <unordered_map>

#include "libproto/config/read_text.h"
#include "libproto/table/file_id.h"
#include "libproto/table/lmdb_file.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

using Clock = std::chrono::steady_clock;

class IndexedTable final : public Table {
  public:
    IndexedTable(std::string source, std::string index, SourceFormat format)
        : source_(std::move(source)), index_(std::move(index)), format_(format) {
        refresh();
        if (!error_.text.empty())
            warnings_.push_back(error_.text);   // said at start, before the first mail waits for it
    }

    Expected<std::optional<std::string>> lookup(std::string_view key) override {
        auto now = Clock::now();
        if (now - checked_ >= std::chrono::seconds(1)) {
            checked_ = now;
            FileId source = FileId::of(source_);
            FileId index = FileId::of(index_);
            // What was read stays in use while neither file can be seen: a sandbox that shut us in does not empty the table.
            bool visible = source.exists() || index.exists() || !error_.text.empty();
            if (visible && (!(source == source_id_) || !(index == index_id_))) refresh();
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
