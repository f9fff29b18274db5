// The seam between the store/queue and the disk. Synchronous: call from blocking() where it may take long. Every durable write of Postcot
// goes through it, so that tests/crash can lose on purpose what was not synced. LMDB does not go through it: it is only a cache.
//
// What power loss may take: data of a file written since its last sync()/sync_data(); a name created, renamed or removed since the last sync_dir() of its
// folder (a whole operation or none). kill -9 takes nothing that a call returned from.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot {

class File {
  public:
    virtual ~File() = default;
    virtual Expected<size_t> read_at(char* buffer, size_t length, uint64_t offset) = 0;   // 0 at the end of the file
    virtual Expected<void> append(std::string_view data) = 0;                             // all or an error
    virtual Expected<void> write_at(std::string_view data, uint64_t offset) = 0;
    virtual Expected<void> sync_data() = 0;   // fdatasync
    virtual Expected<void> sync() = 0;        // fsync
    virtual Expected<void> truncate(uint64_t length) = 0;
    virtual Expected<uint64_t> size() = 0;
    virtual int fd() const = 0;               // -1 in a test double
};

enum class Open {
    kRead,            // must exist
    kCreateNew,       // O_CREAT|O_EXCL, read-write
    kReadWrite,       // create if absent
    kTruncate,        // create or empty
};

class Files {
  public:
    virtual ~Files() = default;
    virtual Expected<std::unique_ptr<File>> open(const std::string& path, Open how, mode_t mode = 0600) = 0;
    virtual Expected<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Expected<void> link(const std::string& from, const std::string& to) = 0;
    virtual Expected<void> unlink(const std::string& path) = 0;
    virtual Expected<void> mkdir(const std::string& path, mode_t mode = 0700) = 0;
    virtual Expected<void> rmdir(const std::string& path) = 0;
    virtual Expected<void> sync_dir(const std::string& path) = 0;
    virtual Expected<std::vector<std::string>> list(const std::string& path) = 0;   // names without . and .., any order
    virtual Expected<struct stat> stat(const std::string& path) = 0;                // follows links
    virtual bool exists(const std::string& path) = 0;

    // The real disk.
    static Files& disk();
};

// Whole small file; EFBIG past `max`.
Expected<std::string> read_file(Files& files, const std::string& path, size_t max = 64 << 20);
// path + ".tmp" written, synced, renamed over, folder synced: readers see old or new, power loss leaves old or new.
Expected<void> replace_file(Files& files, const std::string& path, std::string_view content, mode_t mode = 0600);

}   // namespace postcot
