// What tells one version of a file from the next.
#pragma once

#include <sys/stat.h>

#include <string>

namespace postcot::table {

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

}   // namespace postcot::table
