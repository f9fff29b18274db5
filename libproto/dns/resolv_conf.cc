#include "libproto/dns/resolv_conf.h"

namespace postcot::dns {

std::vector<std::string> name_servers(std::string_view text) {
    constexpr std::string_view kKeyword = "nameserver";
    std::vector<std::string> out;
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.substr(0, kKeyword.size()) != kKeyword) continue;
        line.remove_prefix(kKeyword.size());
        size_t start = line.find_first_not_of(" \t\r");
        if (start == 0 || start == std::string_view::npos) continue;
        line.remove_prefix(start);
        out.emplace_back(line.substr(0, line.find_first_of(" \t\r#;")));
    }
    return out;
}

}   // namespace postcot::dns
