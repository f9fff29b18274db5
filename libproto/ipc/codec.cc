#include "libproto/ipc/codec.h"

namespace postcot::ipc {

namespace {
template <class T>
void put_little(std::string& out, T v) {
    for (size_t i = 0; i < sizeof v; ++i) out += static_cast<char>(static_cast<unsigned char>(v >> (8 * i)));
}
template <class T>
T get_little(std::string_view in) {
    T v = 0;
    for (size_t i = 0; i < sizeof v; ++i)
        v |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(in[i])) << (8 * i));
    return v;
}
}   // namespace

void Writer::u8(uint8_t v) { out_ += static_cast<char>(v); }
void Writer::u32(uint32_t v) { put_little(out_, v); }
void Writer::u64(uint64_t v) { put_little(out_, v); }

void Writer::str(std::string_view v) {
    u32(static_cast<uint32_t>(v.size()));
    out_.append(v);
}

void Writer::list(const std::vector<std::string>& v) {
    u32(static_cast<uint32_t>(v.size()));
    for (const auto& item : v) str(item);
}

uint8_t Reader::u8() {
    if (in_.empty()) {
        ok_ = false;
        return 0;
    }
    auto v = static_cast<uint8_t>(in_[0]);
    in_.remove_prefix(1);
    return v;
}

uint32_t Reader::u32() {
    if (in_.size() < 4) {
        ok_ = false;
        in_ = {};
        return 0;
    }
    auto v = get_little<uint32_t>(in_);
    in_.remove_prefix(4);
    return v;
}

uint64_t Reader::u64() {
    if (in_.size() < 8) {
        ok_ = false;
        in_ = {};
        return 0;
    }
    auto v = get_little<uint64_t>(in_);
    in_.remove_prefix(8);
    return v;
}

std::string_view Reader::view() {
    size_t length = u32();
    if (length > in_.size()) {
        ok_ = false;
        in_ = {};
        return {};
    }
    std::string_view v = in_.substr(0, length);
    in_.remove_prefix(length);
    return v;
}

std::string Reader::str() { return std::string(view()); }

std::vector<std::string> Reader::list() {
    std::vector<std::string> items;
    size_t count = u32();
    // Each item takes at least its length: a count beyond that lies.
    if (count > in_.size() / 4) {
        ok_ = false;
        in_ = {};
        return items;
    }
    items.reserve(count);
    for (size_t i = 0; i < count && ok_; ++i) items.push_back(str());
    return items;
}

}   // namespace postcot::ipc
