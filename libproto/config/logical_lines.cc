#include "libproto/config/logical_lines.h"

namespace postcot::config {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

bool LogicalLines::read_physical(std::string_view& line) {
    if (rest_.empty()) return false;
    size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    ++number_;
    return true;
}

bool LogicalLines::next(std::string& line) {
    line.clear();
    bool have = false;
    for (;;) {
        std::string_view before = rest_;
        std::string_view physical;
        if (!read_physical(physical)) break;
        std::string_view text = trim(physical);
        if (text.empty() || text.front() == '#') continue;
        bool blank = is_space(physical.front());
        if (have && !blank) {
            rest_ = before;
            --number_;
            break;
        }
        if (!have) {
            have = true;
            first_ = number_;
            starts_blank_ = blank;
        }
        line += physical;
        last_ = number_;
    }
    while (!line.empty() && is_space(line.back())) line.pop_back();
    return have;
}

}   // namespace postcot::config
