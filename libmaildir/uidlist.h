// dovecot-uidlist, version 3: which UID each base name has.
//
//   3 V<uidvalidity> N<next uid> G<guid>
//   <uid> [<key><value> ...] :<base name>
//
// Keys: S size of the file, W size in CRLF form, P POP3 UIDL, O POP3 order, G GUID. New messages are appended; a header's N may therefore be behind:
// the next UID is the larger of N and the last record's UID + 1. Written only under dovecot-uidlist.lock; a UID is on disk before it is told.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/files.h"

namespace postcot::maildir {

struct UidRecord {
    uint32_t uid = 0;
    std::string_view extensions;   // "P... W123", as written
    std::string_view name;         // base name
};

// Which state of the file was read.
struct FileMark {
    uint64_t inode = 0;
    uint64_t size = 0;
    int64_t seconds = 0;
    int64_t nanoseconds = 0;
    bool operator==(const FileMark&) const = default;
    static FileMark of(const struct stat& status);
};

struct UidList {
    bool exists = false;    // a readable header was there
    bool damaged = false;   // a torn or misplaced line: write it anew, do not append
    uint32_t uid_validity = 0;
    uint32_t next_uid = 1;
    std::string header_rest;          // "G<guid>" and what else the header has
    std::vector<UidRecord> records;   // ascending UIDs; views into `text`
    FileMark mark;
    std::string text;

    static Expected<UidList> load(Files& files, const std::string& path);
    // One record's value for a key; empty.
    static std::string_view extension(const UidRecord& record, char key);
};

struct NewUid {
    uint32_t uid;
    std::string_view name;
};
// Durable when it returns.
Expected<FileMark> append_uids(Files& files, const std::string& path, const std::vector<NewUid>& records);
Expected<FileMark> write_uidlist(Files& files, const std::string& path, const UidList& header,
                                 const std::vector<UidRecord>& records);
std::string random_guid();   // 32 hexadecimal digits

}   // namespace postcot::maildir
