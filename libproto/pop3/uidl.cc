#include "libproto/pop3/uidl.h"

#include <fmt/format.h>

#include <algorithm>

namespace postcot::pop3 {

Expected<std::string> format_uidl(std::string_view format, const UidlParts& parts) {
    std::string out;
    for (size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        bool zero = false, hex = false, lower = false, upper = false;
        size_t width = 0;
        std::string value;
        for (++i;; ++i) {
            if (i >= format.size()) return fail(0, "pop3_uidl_format ends in the middle of a variable");
            char c = format[i];
            if (c >= '0' && c <= '9') {
                if (c == '0' && width == 0) zero = true;
                width = std::min<size_t>(width * 10 + static_cast<size_t>(c - '0'), 100);
            } else if (c == 'X') {
                hex = true;
            } else if (c == 'L') {
                lower = true;
            } else if (c == 'U') {
                upper = true;
            } else if (c == '%') {
                value = "%";
                break;
            } else if (c == 'u' || c == 'v') {
                uint32_t n = c == 'u' ? parts.uid : parts.uid_validity;
                value = hex ? fmt::format("{:x}", n) : fmt::format("{}", n);
                break;
            } else if (c == 'f' || c == 'g') {
                value = parts.guid;
                break;
            } else {
                return fail(0, fmt::format("pop3_uidl_format: %{} is not supported", c));
            }
        }
        // Dovecot: a width pads with zeros when it begins with one, and cuts from the left.
        if (width > 0 && value.size() > width) value = value.substr(value.size() - width);
        if (value.size() < width) value.insert(0, width - value.size(), zero ? '0' : ' ');
        for (char& c : value) {
            if (lower && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
            if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
        }
        out += value;
    }
    // RFC 1939 §7: 1 to 70 characters in the range 0x21 to 0x7E.
    std::erase_if(out,
                  [](char c) { return static_cast<unsigned char>(c) < 0x21 || static_cast<unsigned char>(c) > 0x7E; });
    if (out.size() > 70) out.resize(70);
    return out;
}

}   // namespace postcot::pop3
