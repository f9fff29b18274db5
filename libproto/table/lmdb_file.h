// One table in one LMDB file. Readers map it read-only without locks: writers never change a file, they replace it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libproto/error.h"

namespace postcot::table {

class LmdbFile {
  public:
    static Expected<std::unique_ptr<LmdbFile>> open(const std::string& path);
    ~LmdbFile();
    LmdbFile(const LmdbFile&) = delete;
    LmdbFile& operator=(const LmdbFile&) = delete;

    // Postfix's own tables may count a trailing NUL as part of key and value: both ways are tried.
    Expected<std::optional<std::string>> get(std::string_view key) const;
    // In key order, until `each` returns false.
    Expected<void> walk(const std::function<bool(std::string_view key, std::string_view value)>& each) const;

  private:
    struct Handles;
    explicit LmdbFile(std::unique_ptr<Handles> handles);
    std::unique_ptr<Handles> handles_;
};

// True when the file starts as LMDB files do; false for Berkeley DB files, for instance.
bool is_lmdb_file(const std::string& path);

struct FileOwner {
    unsigned uid, gid, mode;
};

// Writes `entries` into a new file beside `path`, syncs it and renames it over `path`.
Expected<void> write_lmdb_file(const std::string& path, const std::vector<std::pair<std::string, std::string>>& entries,
                               const FileOwner& owner);

}   // namespace postcot::table
