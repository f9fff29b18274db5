#include "libproto/postfix_queue/records.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace postcot::postfix_queue {

namespace {

constexpr size_t kBuffer = 64 * 1024;

std::string at_offset(uint64_t offset) { return " at " + std::to_string(offset); }

}   // namespace

Expected<size_t> MemorySource::read_at(char* buffer, size_t length, uint64_t offset) {
    if (offset >= bytes_.size()) return 0;
    length = std::min(length, bytes_.size() - static_cast<size_t>(offset));
    std::memcpy(buffer, bytes_.data() + offset, length);
    return length;
}

Expected<char> RecordReader::octet() {
    if (left_ == 0) {
        return fail(EPROTO,
                    at_ >= source_.size() ? "queue file ends without an end record" : "queue file goes in circles");
    }
    if (at_ < buffer_at_ || at_ >= buffer_at_ + buffer_.size()) {
        buffer_.resize(kBuffer);
        auto n = source_.read_at(buffer_.data(), buffer_.size(), at_);
        if (!n) {
            buffer_.clear();
            return fail(n.error());
        }
        buffer_.resize(*n);
        buffer_at_ = at_;
        if (*n == 0) return fail(EPROTO, "queue file ends without an end record");
    }
    --left_;
    return buffer_[static_cast<size_t>(at_++ - buffer_at_)];
}

Expected<void> RecordReader::bytes(std::string& out, size_t length) {
    out.clear();
    while (out.size() < length) {
        auto first = octet();
        if (!first) return fail(first.error());
        out += *first;
        const size_t from = static_cast<size_t>(at_ - buffer_at_);
        const size_t more = std::min(
            {length - out.size(), buffer_.size() - from, static_cast<size_t>(std::min<uint64_t>(left_, kMaxData))});
        out.append(buffer_, from, more);
        at_ += more;
        left_ -= more;
    }
    return {};
}

Expected<void> RecordReader::next(Record& out) {
    for (;;) {
        out.offset = at_;
        auto what = octet();
        if (!what) return fail(what.error());
        out.type = *what;
        size_t length = 0;
        for (unsigned shift = 0;; shift += 7) {
            auto part = octet();
            if (!part) return fail(part.error());
            const auto value = static_cast<unsigned char>(*part);
            length |= static_cast<size_t>(value & 0x7F) << shift;
            if (length > kMaxData) return fail(EPROTO, "record is too long" + at_offset(out.offset));
            if (!(value & 0x80)) break;
            if (shift >= 21) return fail(EPROTO, "record is too long" + at_offset(out.offset));
        }
        if (auto read = bytes(out.data, length); !read) return read;
        if (out.type == type::kPadding) continue;
        if (out.type != type::kPointer) return {};
        const size_t begin = std::min(out.data.find_first_not_of(' '), out.data.size());
        uint64_t target = 0;
        const char* end = out.data.data() + out.data.size();
        auto parsed = std::from_chars(out.data.data() + begin, end, target);
        if (parsed.ec != std::errc() || parsed.ptr != end)
            return fail(EPROTO, "malformed pointer record" + at_offset(out.offset));
        if (target >= source_.size())
            return fail(EPROTO, "pointer record leads out of the file" + at_offset(out.offset));
        if (target != 0) at_ = target;
    }
}

void append_record(std::string& out, char type, std::string_view data) {
    out += type;
    size_t length = data.size();
    do {
        unsigned part = length & 0x7F;
        length >>= 7;
        if (length > 0) part |= 0x80;
        out += static_cast<char>(part);
    } while (length > 0);
    out += data;
}

}   // namespace postcot::postfix_queue
