// How messages between our daemons look on the wire: fixed-width little-endian integers, and byte strings with a u32 length. Same host, same
// build: no versions. Decoding is total and bounded by the frame.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::ipc {

class Writer {
  public:
    void u8(uint8_t v);
    void u32(uint32_t v);
    void u64(uint64_t v);
    void i64(int64_t v) { u64(static_cast<uint64_t>(v)); }
    void boolean(bool v) { u8(v ? 1 : 0); }
    void str(std::string_view v);
    void list(const std::vector<std::string>& v);
    const std::string& bytes() const { return out_; }
    std::string take() { return std::move(out_); }

  private:
    std::string out_;
};

// A read past the end gives zeros and empty strings and makes ok() false: check once at the end.
class Reader {
  public:
    explicit Reader(std::string_view in) : in_(in) {}
    uint8_t u8();
    uint32_t u32();
    uint64_t u64();
    int64_t i64() { return static_cast<int64_t>(u64()); }
    bool boolean() { return u8() != 0; }
    std::string str();
    std::string_view view();   // into the frame
    std::vector<std::string> list();
    bool ok() const { return ok_; }
    bool at_end() const { return in_.empty(); }

  private:
    std::string_view in_;
    bool ok_ = true;
};

}   // namespace postcot::ipc
