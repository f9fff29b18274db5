#include "libmaildir/content.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace postcot::maildir {

namespace {

constexpr size_t kMapFrom = 256 << 10;

class CrlfContent final : public Content {
  public:
    CrlfContent(std::shared_ptr<MessageFile> file, std::string owned, std::vector<std::pair<uint64_t, uint64_t>> ranges,
                bool blank)
        : file_(std::move(file)), owned_(std::move(owned)), ranges_(std::move(ranges)), blank_(blank) {
        text_ = file_ ? file_->text() : std::string_view(owned_);
        for (auto& [begin, end] : ranges_) {
            end = std::min<uint64_t>(end, text_.size());
            begin = std::min(begin, end);
            size_ += crlf_size(text_.substr(begin, end - begin));
        }
        if (blank_) size_ += 2;
        restart();
    }

    uint64_t size() const override { return size_; }

    Expected<size_t> read(char* buffer, size_t length, uint64_t offset) override {
        if (offset < at_) restart();
        while (at_ < offset) {
            size_t n = produce(nullptr, static_cast<size_t>(std::min<uint64_t>(offset - at_, 1 << 20)));
            if (n == 0) return size_t{0};
        }
        size_t done = 0;
        while (done < length) {
            size_t n = produce(buffer + done, length - done);
            if (n == 0) break;
            done += n;
        }
        return done;
    }

  private:
    void restart() {
        range_ = 0;
        at_ = 0;
        position_ = ranges_.empty() ? 0 : ranges_[0].first;
        tail_ = 0;
        lf_pending_ = false;
    }

    // Up to `length` octets (a null buffer skips them); 0 at the end.
    size_t produce(char* buffer, size_t length) {
        while (range_ < ranges_.size() && position_ >= ranges_[range_].second && !lf_pending_) {
            if (++range_ < ranges_.size()) position_ = ranges_[range_].first;
        }
        if (range_ >= ranges_.size()) {
            static constexpr char kBlank[] = "\r\n";
            if (!blank_ || tail_ == 2) return 0;
            size_t n = std::min<size_t>(length, 2 - tail_);
            if (buffer) std::memcpy(buffer, kBlank + tail_, n);
            tail_ += n;
            at_ += n;
            return n;
        }
        auto [begin, end] = ranges_[range_];
        size_t done = 0;
        while (done < length && position_ < end) {
            std::string_view rest = text_.substr(position_, end - position_);
            if (rest[0] == '\n') {
                bool bare = position_ == begin || text_[position_ - 1] != '\r';
                if (bare && !lf_pending_) {
                    if (buffer) buffer[done] = '\r';
                    ++done;
                    lf_pending_ = true;
                    continue;
                }
                lf_pending_ = false;
                if (buffer) buffer[done] = '\n';
                ++done;
                ++position_;
                continue;
            }
            size_t run = std::min(rest.size(), length - done);
            if (const void* lf = std::memchr(rest.data(), '\n', run))
                run = static_cast<size_t>(static_cast<const char*>(lf) - rest.data());
            if (buffer) std::memcpy(buffer + done, rest.data(), run);
            done += run;
            position_ += run;
        }
        at_ += done;
        return done;
    }

    std::shared_ptr<MessageFile> file_;   // shared: several sections of one message may be open at once
    std::string owned_;
    std::string_view text_;
    std::vector<std::pair<uint64_t, uint64_t>> ranges_;
    bool blank_;
    uint64_t size_ = 0;
    size_t range_ = 0;
    uint64_t position_ = 0;
    uint64_t at_ = 0;
    size_t tail_ = 0;
    bool lf_pending_ = false;
};

class PlainContent final : public Content {
  public:
    explicit PlainContent(std::string text) : text_(std::move(text)) {}
    uint64_t size() const override { return text_.size(); }
    Expected<size_t> read(char* buffer, size_t length, uint64_t offset) override {
        if (offset >= text_.size()) return size_t{0};
        size_t n = std::min<size_t>(length, text_.size() - static_cast<size_t>(offset));
        std::memcpy(buffer, text_.data() + offset, n);
        return n;
    }

  private:
    std::string text_;
};

}   // namespace

Expected<std::shared_ptr<MessageFile>> MessageFile::open(Files& files, const std::string& path) {
    auto file = files.open(path, Open::kRead);
    if (!file) return fail(file.error());
    struct stat status {};
    if ((*file)->fd() >= 0) {
        if (::fstat((*file)->fd(), &status) != 0) return fail_errno(errno, "stat " + path);
    } else {
        auto found = files.stat(path);
        if (!found) return fail(found.error());
        status = *found;
    }
    std::shared_ptr<MessageFile> message(new MessageFile);
    message->modified_ = status.st_mtim.tv_sec;
    message->changed_ = status.st_ctim.tv_sec;
    auto size = static_cast<size_t>(status.st_size);
    if (size >= kMapFrom && (*file)->fd() >= 0) {
        void* map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, (*file)->fd(), 0);
        if (map == MAP_FAILED) return fail_errno(errno, "mmap " + path);
        message->map_ = map;
        message->map_length_ = size;
        message->text_ = {static_cast<const char*>(map), size};
        return message;
    }
    message->data_.resize(size);
    size_t have = 0;
    while (have < size) {
        auto n = (*file)->read_at(message->data_.data() + have, size - have, have);
        if (!n) return fail(n.error());
        if (*n == 0) break;
        have += *n;
    }
    message->data_.resize(have);
    message->text_ = message->data_;
    return message;
}

MessageFile::~MessageFile() {
    if (map_) ::munmap(map_, map_length_);
}

uint64_t crlf_size(std::string_view text) {
    uint64_t size = text.size();
    const char* p = text.data();
    const char* end = p + text.size();
    while (p < end) {
        p = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
        if (!p) break;
        if (p == text.data() || p[-1] != '\r') ++size;
        ++p;
    }
    return size;
}

std::unique_ptr<Content> content_of(std::shared_ptr<MessageFile> file,
                                    std::vector<std::pair<uint64_t, uint64_t>> ranges, bool add_blank) {
    return std::make_unique<CrlfContent>(std::move(file), std::string(), std::move(ranges), add_blank);
}

std::unique_ptr<Content> content_of(std::string text, bool convert) {
    if (!convert) return std::make_unique<PlainContent>(std::move(text));
    uint64_t size = text.size();
    return std::make_unique<CrlfContent>(nullptr, std::move(text),
                                         std::vector<std::pair<uint64_t, uint64_t>>{{0, size}}, false);
}

Expected<std::string> read_all(Content& content, uint64_t offset, uint64_t length) {
    std::string out;
    uint64_t want = offset >= content.size() ? 0 : std::min(length, content.size() - offset);
    out.resize(static_cast<size_t>(want));
    size_t have = 0;
    while (have < out.size()) {
        auto n = content.read(out.data() + have, out.size() - have, offset + have);
        if (!n) return fail(n.error());
        if (*n == 0) break;
        have += *n;
    }
    out.resize(have);
    return out;
}

}   // namespace postcot::maildir
