#include "libmaildir/uidlist.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "libmaildir/filename.h"

namespace postcot::maildir {

namespace {

bool take_number(std::string_view& in, uint32_t& out) {
    uint64_t n = 0;
    size_t i = 0;
    for (; i < in.size() && i < 10 && in[i] >= '0' && in[i] <= '9'; ++i)
        n = n * 10 + static_cast<uint64_t>(in[i] - '0');
    if (i == 0 || n > UINT32_MAX) return false;
    out = static_cast<uint32_t>(n);
    in.remove_prefix(i);
    return true;
}

bool parse_header(std::string_view line, UidList& list) {
    if (!line.starts_with("3 ")) return false;
    line.remove_prefix(2);
    while (!line.empty()) {
        size_t end = std::min(line.find(' '), line.size());
        std::string_view word = line.substr(0, end);
        line.remove_prefix(std::min(line.size(), end + 1));
        if (word.empty()) continue;
        std::string_view value = word.substr(1);
        if (word[0] == 'V') {
            if (!take_number(value, list.uid_validity)) return false;
        } else if (word[0] == 'N') {
            if (!take_number(value, list.next_uid)) return false;
        } else {
            if (!list.header_rest.empty()) list.header_rest += ' ';
            list.header_rest += word;
        }
    }
    return list.uid_validity != 0 && list.next_uid != 0;
}

// Version 1 (Dovecot before 1.1): "1 <uidvalidity> <nextuid>", records "<uid> <file name>".
bool parse_old_header(std::string_view line, UidList& list) {
    if (!line.starts_with("1 ")) return false;
    line.remove_prefix(2);
    if (!take_number(line, list.uid_validity) || line.empty()) return false;
    line.remove_prefix(1);
    return take_number(line, list.next_uid) && list.uid_validity != 0;
}

bool parse_record(std::string_view line, bool old_format, UidRecord& record) {
    if (!take_number(line, record.uid) || record.uid == 0 || line.empty() || line[0] != ' ') return false;
    line.remove_prefix(1);
    if (!old_format) {
        size_t colon = line.starts_with(':') ? 0 : line.find(" :");
        if (colon == std::string_view::npos) return false;
        record.extensions = line.substr(0, colon);
        line.remove_prefix(line[colon] == ':' ? colon + 1 : colon + 2);
    }
    record.name = base_of(line);
    return !record.name.empty();
}

void append_record(std::string& out, uint32_t uid, std::string_view extensions, std::string_view name) {
    fmt::format_int number(uid);
    out.append(number.data(), number.size());
    out += ' ';
    if (!extensions.empty()) {
        out += extensions;
        out += ' ';
    }
    out += ':';
    out += name;
    out += '\n';
}

}   // namespace

FileMark FileMark::of(const struct stat& status) {
    return {static_cast<uint64_t>(status.st_ino), static_cast<uint64_t>(status.st_size), status.st_mtim.tv_sec,
            status.st_mtim.tv_nsec};
}

Expected<UidList> UidList::load(Files& files, const std::string& path) {
    UidList list;
    auto status = files.stat(path);
    if (!status) {
        if (status.error().code == ENOENT) return list;
        return fail(status.error());
    }
    auto text = read_file(files, path, 1ULL << 30);
    if (!text) {
        if (text.error().code == ENOENT) return list;
        return fail(text.error());
    }
    list.mark = FileMark::of(*status);
    list.text = std::move(*text);
    std::string_view rest = list.text;
    bool first = true, old_format = false;
    while (!rest.empty()) {
        size_t lf = rest.find('\n');
        if (lf == std::string_view::npos) {   // torn by a crash: never told to anyone
            list.damaged = true;
            break;
        }
        std::string_view line = rest.substr(0, lf);
        rest.remove_prefix(lf + 1);
        if (first) {
            first = false;
            old_format = !parse_header(line, list) && parse_old_header(line, list);
            list.exists = list.uid_validity != 0;
            if (!list.exists) {
                list.damaged = true;
                return list;
            }
            if (old_format) list.damaged = true;
            continue;
        }
        UidRecord record;
        if (!parse_record(line, old_format, record) ||
            (!list.records.empty() && record.uid <= list.records.back().uid)) {
            list.damaged = true;
            continue;
        }
        list.records.push_back(record);
    }
    if (!list.records.empty() && list.records.back().uid >= list.next_uid && list.records.back().uid != UINT32_MAX)
        list.next_uid = list.records.back().uid + 1;
    return list;
}

std::string_view UidList::extension(const UidRecord& record, char key) {
    std::string_view in = record.extensions;
    while (!in.empty()) {
        size_t end = std::min(in.find(' '), in.size());
        if (in[0] == key) return in.substr(1, end - 1);
        in.remove_prefix(std::min(in.size(), end + 1));
    }
    return {};
}

std::string random_guid() {
    unsigned char bytes[16] = {};
    (void)!::getrandom(bytes, sizeof bytes, 0);
    std::string out;
    for (unsigned char b : bytes) out += fmt::format("{:02x}", b);
    return out;
}

Expected<FileMark> append_uids(Files& files, const std::string& path, const std::vector<NewUid>& records) {
    std::string lines;
    for (const NewUid& record : records) append_record(lines, record.uid, {}, record.name);
    auto file = files.open(path, Open::kReadWrite, 0600);
    if (!file) return fail(file.error());
    auto before = (*file)->size();
    if (!before) return fail(before.error());
    auto done = (*file)->append(lines);
    if (done) done = (*file)->sync_data();
    if (!done) {   // a full disk: nobody hears of these UIDs
        (void)(*file)->truncate(*before);
        return fail(done.error());
    }
    auto status = files.stat(path);
    if (!status) return fail(status.error());
    return FileMark::of(*status);
}

Expected<FileMark> write_uidlist(Files& files, const std::string& path, const UidList& header,
                                 const std::vector<UidRecord>& records) {
    std::string text = fmt::format("3 V{} N{}", header.uid_validity, header.next_uid);
    text.reserve(records.size() * 48 + 128);
    text += ' ';
    text += header.header_rest.empty() ? "G" + random_guid() : header.header_rest;
    text += '\n';
    for (const UidRecord& record : records) append_record(text, record.uid, record.extensions, record.name);
    if (auto r = replace_file(files, path, text, 0600); !r) return fail(r.error());
    auto status = files.stat(path);
    if (!status) return fail(status.error());
    return FileMark::of(*status);
}

}   // namespace postcot::maildir
