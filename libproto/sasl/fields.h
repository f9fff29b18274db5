// Takes a line of the auth protocol apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postcot::sasl {

class Fields;

class Words {
  public:
    explicit Words(std::string_view line);
    std::optional<std::string_view> next();   // up to the next TAB, still escaped; nullopt past the last
    std::optional<uint32_t> number();         // a whole word of decimal digits that fits
    bool fields(Fields& out);                 // all that is left; false past kMaxAuthFields
    bool at_end() const { return ended_; }

  private:
    std::string_view rest_;
    bool ended_ = false;
};

}   // namespace postcot::sasl
