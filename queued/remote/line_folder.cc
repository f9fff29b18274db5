#include "queued/remote/line_folder.h"

#include <cstring>

namespace postcot::queued {

void LineFolder::feed(std::string_view content, std::string& out) {
    if (limit_ == 0) {
        out += content;
        return;
    }
    while (!content.empty()) {
        const void* found = std::memchr(content.data(), '\n', content.size());
        size_t length = found ? static_cast<size_t>(static_cast<const char*>(found) - content.data()) : content.size();
        std::string_view line = content.substr(0, length);
        while (column_ + line.size() > limit_) {
            size_t room = limit_ - column_;
            out += line.substr(0, room);
            out += "\n ";
            line.remove_prefix(room);
            column_ = 1;
        }
        out += line;
        column_ += line.size();
        if (!found) return;
        out += '\n';
        column_ = 0;
        content.remove_prefix(length + 1);
    }
}

}   // namespace postcot::queued
