// postconf(5) smtp_line_length_limit: a longer line goes out in pieces, each further one behind a line end and a blank (RFC 5321 §4.5.3.1.6 allows 998
// octets).
#pragma once

#include <string>
#include <string_view>

namespace postcot::queued {

class LineFolder {
  public:
    explicit LineFolder(size_t limit) : limit_(limit == 1 ? 2 : limit) {}   // 0: none
    void feed(std::string_view content, std::string& out);

  private:
    size_t limit_;
    size_t column_ = 0;
};

}   // namespace postcot::queued
