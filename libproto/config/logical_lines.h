// The line grammar main.cf, master.cf and every Postfix table file share (postconf(5)): empty lines and lines whose
// first non-blank is '#' are skipped, a line that starts with white space continues the logical line before it.
#pragma once

#include <string>
#include <string_view>

namespace postcot::config {

class LogicalLines {
  public:
    explicit LogicalLines(std::string_view text) : rest_(text) {}

    // Next logical line, its pieces joined as they stand (leading white space of continuations kept), without the line
    // end. False at the end of the text. A first line that starts with white space comes with starts_blank() true:
    // Postfix refuses to take it for a setting.
    bool next(std::string& line);
    int first_line() const { return first_; }
    int last_line() const { return last_; }
    bool starts_blank() const { return starts_blank_; }

  private:
    bool read_physical(std::string_view& line);
    std::string_view rest_;
    int number_ = 0;
    int first_ = 0;
    int last_ = 0;
    bool starts_blank_ = false;
};

// Without white space at both ends.
std::string_view trim(std::string_view text);
bool is_space(char c);   // in the C locale

}   // namespace postcot::config
