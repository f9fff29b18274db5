#include "libmaildir/append.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "libmaildir/filename.h"
#include "libmaildir/message_cache.h"

namespace postcot::maildir {

namespace {

constexpr size_t kBuffer = 64 << 10;
constexpr size_t kSmall = 256 << 10;
constexpr size_t kMaxMessages = 10000;   // in one MULTIAPPEND

}   // namespace

FolderAppend::~FolderAppend() {
    for (Item& item : items_)
        if (!item.placed) (void)folder_->files().unlink(item.path);
}

Expected<void> FolderAppend::begin(uint8_t system_flags, const std::vector<std::string>& keywords,
                                   std::optional<DateTime> internal_date) {
    if (items_.size() >= kMaxMessages) return fail(ENOSPC, "LIMIT", "Too many messages in one APPEND");
    if (!items_.empty())
        if (auto done = finish(items_.back()); !done) return done;
    Item item;
    item.base = unique_name();
    item.path = folder_->paths().directory + "/tmp/" + item.base;
    item.system = system_flags;
    item.keywords = keywords;
    item.date = internal_date;
    auto file = folder_->files().open(item.path, Open::kCreateNew, 0600);
    if (!file) return fail(file.error());
    item.file = std::move(*file);
    items_.push_back(std::move(item));
    return {};
}

Expected<void> FolderAppend::drain(Item& item) {
    if (item.buffer.empty()) return {};
    auto done = item.file->write_at(item.buffer, item.size - item.buffer.size());
    if (!done) return done;
    item.buffer.clear();
    return {};
}

Expected<void> FolderAppend::write(std::string_view data) {
    if (items_.empty()) return fail(EINVAL, "SERVERBUG", "write before begin");
    Item& item = items_.back();
    auto put = [&](std::string_view text) {
        item.buffer += text;
        item.size += text.size();
        if (item.small) item.text += text;
    };
    // CRLF becomes LF; a CR that ends `data` waits for what follows it.
    while (!data.empty()) {
        if (item.last_was_cr) {
            item.last_was_cr = false;
            if (data[0] != '\n') {
                put("\r");
                ++item.crlf_size;
            }
        }
        size_t stop = data.find_first_of("\r\n");
        std::string_view run = data.substr(0, stop);
        put(run);
        item.crlf_size += run.size();
        if (stop == std::string_view::npos) break;
        if (data[stop] == '\n') {
            put("\n");
            item.crlf_size += 2;
        } else {
            item.last_was_cr = true;
        }
        data.remove_prefix(stop + 1);
        if (item.text.size() > kSmall) {
            item.small = false;
            item.text = std::string();
        }
        if (item.buffer.size() >= kBuffer)
            if (auto done = drain(item); !done) return done;
    }
    if (item.buffer.size() >= kBuffer) return drain(item);
    return {};
}

Expected<void> FolderAppend::finish(Item& item) {
    if (!item.file) return {};
    if (item.last_was_cr) {
        item.last_was_cr = false;
        item.buffer += '\r';
        ++item.size;
        ++item.crlf_size;
        if (item.small) item.text += '\r';
    }
    if (auto done = drain(item); !done) return done;
    if (item.date && item.file->fd() >= 0) {
        timespec times[2] = {{item.date->seconds, 0}, {item.date->seconds, 0}};
        (void)::futimens(item.file->fd(), times);
    }
    if (fsync_)
        if (auto done = item.file->sync(); !done) return done;
    item.file.reset();
    return {};
}

Expected<CopyResult> FolderAppend::commit() {
    CopyResult result;
    if (items_.empty()) return result;
    if (auto done = finish(items_.back()); !done) return fail(done.error());
    std::vector<Folder::Incoming> incoming;
    for (Item& item : items_) {
        Folder::Incoming one;
        // Dovecot's fields: with them, no size ever needs the file opened.
        one.base = item.base + ",S=" + std::to_string(item.size) + ",W=" + std::to_string(item.crlf_size);
        one.flags.system = item.system;
        auto bits = folder_->keyword_bits(item.keywords);
        if (!bits && bits.error().enhanced == "LIMIT") bits = folder_->known_keyword_bits(item.keywords);
        if (!bits) return fail(bits.error());
        one.flags.keywords = *bits;
        incoming.push_back(std::move(one));
    }
    auto uids = folder_->add(incoming, [&](size_t i, const std::string& path) -> Expected<void> {
        auto renamed = folder_->files().rename(items_[i].path, path);
        if (renamed) items_[i].placed = true;
        return renamed;
    });
    if (!uids) return fail(uids.error());
    result.uid_validity = folder_->uid_validity();
    result.target = std::move(*uids);
    for (size_t i = 0; i < items_.size(); ++i) {
        if (!items_[i].small) continue;
        Cached made = cache_of(items_[i].text);
        folder_->cache(result.target[i].value, std::move(made.head), std::move(made.wire));
    }
    folder_->flush_cache();
    items_.clear();
    return result;
}

}   // namespace postcot::maildir
