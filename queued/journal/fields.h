// The primitives of what the journal writes: fields of a tag, a length and that many octets. Tag and length are LEB128 numbers, a number is its
// octets from the lowest on without leading zeros. What is absent has its default (0, empty, false). A reader passes over tags that it does not know, and whoever
// writes the same thing again writes them with it (`unknown`): an older program does not lose what a newer one wrote.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postcot::queued {

class FieldWriter {
  public:
    void number(uint32_t tag, uint64_t value);         // nothing for 0
    void signed_number(uint32_t tag, int64_t value);   // two's complement
    void boolean(uint32_t tag, bool value) { number(tag, value ? 1 : 0); }
    void text(uint32_t tag, std::string_view value);    // nothing for ""
    void field(uint32_t tag, std::string_view value);   // whatever the value is
    void begin(uint32_t tag, size_t length);            // so many octets follow by raw()
    void raw(std::string_view octets) { out_ += octets; }
    const std::string& bytes() const { return out_; }
    std::string take() { return std::move(out_); }

  private:
    std::string out_;
};

// Total: any octets give fields, or ok() is false.
class FieldReader {
  public:
    explicit FieldReader(std::string_view in) : rest_(in) {}
    bool next();   // false at the end, or when the rest is no field
    uint32_t tag() const { return tag_; }
    std::string_view value() const { return value_; }
    std::string_view whole() const { return whole_; }   // with tag and length
    uint64_t number() const;
    int64_t signed_number() const { return static_cast<int64_t>(number()); }
    bool boolean() const { return number() != 0; }
    std::string text() const { return std::string(value_); }
    bool ok() const { return ok_; }

  private:
    bool take_number(uint64_t& value);
    std::string_view rest_, value_, whole_;
    uint32_t tag_ = 0;
    bool ok_ = true;
};

// `fields` with those of `newer`, which replace what has their tags.
std::string merge_fields(std::string_view fields, std::string_view newer);

}   // namespace postcot::queued
