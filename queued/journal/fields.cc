#include "queued/journal/fields.h"

#include <set>

namespace postcot::queued {

namespace {

void put_leb128(std::string& out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

}   // namespace

void FieldWriter::begin(uint32_t tag, size_t length) {
    put_leb128(out_, tag);
    put_leb128(out_, length);
}

void FieldWriter::field(uint32_t tag, std::string_view value) {
    begin(tag, value.size());
    out_ += value;
}

void FieldWriter::number(uint32_t tag, uint64_t value) {
    if (value == 0) return;
    std::string octets;
    for (; value > 0; value >>= 8) octets.push_back(static_cast<char>(value));
    field(tag, octets);
}

void FieldWriter::signed_number(uint32_t tag, int64_t value) { number(tag, static_cast<uint64_t>(value)); }

void FieldWriter::text(uint32_t tag, std::string_view value) {
    if (!value.empty()) field(tag, value);
}

bool FieldReader::take_number(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
        const auto octet = static_cast<uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        value |= uint64_t{octet & 0x7Fu} << shift;
        if (octet < 0x80) return true;
    }
    return false;
}

bool FieldReader::next() {
    if (rest_.empty() || !ok_) return false;
    const char* begin = rest_.data();
    uint64_t tag = 0;
    uint64_t length = 0;
    ok_ = take_number(tag) && tag <= UINT32_MAX && take_number(length) && length <= rest_.size();
    if (!ok_) return false;
    tag_ = static_cast<uint32_t>(tag);
    value_ = rest_.substr(0, length);
    rest_.remove_prefix(length);
    whole_ = std::string_view(begin, static_cast<size_t>(value_.data() + value_.size() - begin));
    return true;
}

uint64_t FieldReader::number() const {
    uint64_t value = 0;
    for (size_t i = 0; i < value_.size() && i < 8; ++i) value |= uint64_t{static_cast<uint8_t>(value_[i])} << (8 * i);
    return value;
}

std::string merge_fields(std::string_view fields, std::string_view newer) {
    if (newer.empty()) return std::string(fields);
    std::set<uint32_t> replaced;
    for (FieldReader r(newer); r.next();) replaced.insert(r.tag());
    std::string out;
    for (FieldReader r(fields); r.next();) {
        if (!replaced.count(r.tag())) out += r.whole();
    }
    out += newer;
    return out;
}

}   // namespace postcot::queued
