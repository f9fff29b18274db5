#include "queued/journal/segment.h"

#include <algorithm>
#include <optional>

#include "queued/journal/crc32c.h"

namespace postcot::queued {

namespace {

constexpr std::string_view kMagic1 = "PCTQSEG1";
constexpr std::string_view kMagic2 = "PCTQSEG2";
constexpr std::string_view kMarker = "PCR2";

void put(std::string& out, uint64_t value, unsigned octets) {
    for (unsigned i = 0; i < octets; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t get(std::string_view in, size_t at, size_t octets) {
    uint64_t value = 0;
    for (size_t i = 0; i < octets; ++i) value |= uint64_t{static_cast<uint8_t>(in[at + i])} << (8 * i);
    return value;
}

// What a record's header says, when it is one.
struct Header {
    uint32_t length = 0;
    uint32_t crc = 0;
    uint64_t synced = 0;
};

constexpr size_t header_size(unsigned format) { return format == 1 ? 8 : kRecordHeader; }

std::optional<Header> read_header(std::string_view in, unsigned format) {
    if (in.size() < header_size(format)) return std::nullopt;
    Header header;
    if (format == 1) {
        header.length = static_cast<uint32_t>(get(in, 0, 4));
        header.crc = static_cast<uint32_t>(get(in, 4, 4));
    } else {
        if (in.substr(0, kMarker.size()) != kMarker || crc32c(in.substr(0, 20)) != get(in, 20, 4)) return std::nullopt;
        header.length = static_cast<uint32_t>(get(in, 4, 4));
        header.synced = get(in, 8, 8);
        header.crc = static_cast<uint32_t>(get(in, 16, 4));
    }
    if (header.length == 0 || header.length > kMaxRecord) return std::nullopt;
    return header;
}

// The octets from `from` on, `length` at most; fewer at the end of the file.
Expected<std::string> read_some(File& file, uint64_t from, size_t length) {
    std::string out(length, '\0');
    size_t have = 0;
    while (have < length) {
        auto n = file.read_at(out.data() + have, length - have, from + have);
        if (!n) return fail(n.error());
        if (*n == 0) break;
        have += *n;
    }
    out.resize(have);
    return out;
}

// The payload of the record that `in` begins with, if it is whole.
std::optional<std::string_view> whole_payload(std::string_view in, unsigned format, uint64_t* synced = nullptr) {
    auto header = read_header(in, format);
    const size_t size = header_size(format);
    if (!header || in.size() - size < header->length) return std::nullopt;
    auto payload = in.substr(size, header->length);
    if (crc32c(payload) != header->crc) return std::nullopt;
    if (synced) *synced = header->synced;
    return payload;
}

// Where the next record that can be read begins in `in`, which has none at its beginning; npos when nothing there was acknowledged. `at` is the place of `in`
// in the segment.
size_t next_record(std::string_view in, uint64_t at, unsigned format) {
    size_t first = std::string_view::npos;
    for (size_t i = 1; i < in.size();) {
        if (format == 2) {
            i = in.find(kMarker, i);
            if (i == std::string_view::npos) return i;
        }
        uint64_t synced = 0;
        auto payload = whole_payload(in.substr(i), format, &synced);
        if (!payload) {
            ++i;
            continue;
        }
        if (first == std::string_view::npos) first = i;
        // Format 1 does not say what was synced: better one letter twice than one not at all.
        if (format == 1 || synced > at) return first;
        i += header_size(format) + payload->size();
    }
    return std::string_view::npos;
}

}   // namespace

std::string segment_header(uint32_t number) {
    std::string out(kMagic2);
    put(out, number, 4);
    put(out, 0, 4);
    return out;
}

void append_record(std::string& out, std::string_view payload, uint64_t synced) {
    std::string header(kMarker);
    put(header, payload.size(), 4);
    put(header, synced, 8);
    put(header, crc32c(payload), 4);
    put(header, crc32c(header), 4);
    out += header;
    out += payload;
}

Expected<void> read_segment(File& file, uint32_t number, uint64_t from, const SegmentVisitor& visit) {
    auto size = file.size();
    if (!size) return fail(size.error());
    auto head = read_some(file, 0, kSegmentHeader);
    if (!head) return fail(head.error());
    if (head->size() < kSegmentHeader) return {};
    const std::string_view magic = std::string_view(*head).substr(0, kMagic1.size());
    const unsigned format = magic == kMagic1 ? 1 : magic == kMagic2 ? 2 : 0;
    if (format == 0 || get(*head, kMagic1.size(), 4) != number) {
        visit.damage({0, *size, "not a segment of the queue journal"});
        return {};
    }
    uint64_t offset = std::max<uint64_t>(from, kSegmentHeader);
    while (offset < *size) {
        auto start = read_some(file, offset, header_size(format));
        if (!start) return fail(start.error());
        auto header = read_header(*start, format);
        if (header) {
            auto payload = read_some(file, offset + header_size(format), header->length);
            if (!payload) return fail(payload.error());
            if (payload->size() == header->length && crc32c(*payload) == header->crc) {
                visit.record(offset + header_size(format), *payload, format);
                offset += header_size(format) + header->length;
                continue;
            }
        }
        auto rest = read_some(file, offset, static_cast<size_t>(*size - offset));
        if (!rest) return fail(rest.error());
        const size_t skip = next_record(*rest, offset, format);
        if (skip == std::string_view::npos) {
            visit.torn(offset);
            return {};
        }
        visit.damage({offset, offset + skip, "checksum is wrong"});
        offset += skip;
    }
    return {};
}

}   // namespace postcot::queued
