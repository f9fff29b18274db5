// texthash, regexp, pcre and cidr files: read again when they change. Postfix restarts its daemons for that (dict_changed); an edit that cannot be read
// leaves the old rules in use and is logged.
#include <chrono>

#include "libproto/runtime/log.h"
#include "libproto/table/file_id.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

using Clock = std::chrono::steady_clock;

class ReloadingTable final : public Table {
  public:
    ReloadingTable(std::string path, Opener open, FileId id, std::unique_ptr<Table> table)
        : path_(std::move(path)), open_(open), id_(id), table_(std::move(table)) {
        warnings_ = table_->warnings();
    }

    Expected<std::optional<std::string>> lookup(std::string_view key) override {
        auto now = Clock::now();
        if (now - checked_ >= std::chrono::seconds(1)) {
            checked_ = now;
            FileId id = FileId::of(path_);
            if (id.exists() && !(id == id_)) reload(id);
        }
        return table_->lookup(key);
    }
    bool fixed_keys() const override { return table_->fixed_keys(); }

  private:
    void reload(const FileId& id) {
        id_ = id;
        auto opened = open_(path_);
        if (!opened) {
            log::write(log::Level::kWarning, opened.error().text + ": the rules read before stay in use");
            return;
        }
        for (const auto& warning : (*opened)->warnings()) log::write(log::Level::kWarning, warning);
        table_ = std::move(*opened);
        warnings_ = table_->warnings();
    }

    std::string path_;
    Opener open_;
    FileId id_;
    std::unique_ptr<Table> table_;
    Clock::time_point checked_ = Clock::now();
};

}   // namespace

Opened open_reloading(std::string_view name, Opener open) {
    if (name.starts_with('{')) return open(name);   // inline rules
    std::string path(name);
    FileId id = FileId::of(path);   // before the reading: a change meanwhile is seen at the next check
    auto table = open(name);
    if (!table) return table;
    return std::make_unique<ReloadingTable>(std::move(path), open, id, std::move(*table));
}

}   // namespace postcot::table
