#include "libproto/ipc/who.h"

#include <charconv>

#include "libproto/sasl/auth_protocol.h"

namespace postcot::ipc {

namespace {

bool number(std::string_view text, uint32_t& out) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

}   // namespace

std::string who_socket_name(std::string_view service) { return std::string(service) + "-who"; }

std::string write_who(const WhoEntry& entry) {
    std::string line = sasl::tab_escape(entry.user) + "\t" + sasl::tab_escape(entry.service) + "\t" +
                       sasl::tab_escape(entry.remote_address) + "\t";
    for (size_t i = 0; i < entry.pids.size(); ++i) line += (i ? "," : "") + std::to_string(entry.pids[i]);
    line += "\t" + std::to_string(entry.connections) + "\n";
    return line;
}

Expected<WhoEntry> parse_who(std::string_view line) {
    std::vector<std::string_view> words;
    for (;;) {
        auto tab = line.find('\t');
        words.push_back(line.substr(0, tab));
        if (tab == std::string_view::npos || words.size() > 5) break;
        line.remove_prefix(tab + 1);
    }
    if (words.size() != 5) return fail(EPROTO, "broken line from a who socket");
    WhoEntry entry;
    entry.user = sasl::tab_unescape(words[0]);
    entry.service = sasl::tab_unescape(words[1]);
    entry.remote_address = sasl::tab_unescape(words[2]);
    for (auto pids = words[3]; !pids.empty();) {
        auto comma = pids.find(',');
        uint32_t pid = 0;
        if (!number(pids.substr(0, comma), pid)) return fail(EPROTO, "broken line from a who socket");
        entry.pids.push_back(pid);
        if (comma == std::string_view::npos) break;
        pids.remove_prefix(comma + 1);
    }
    if (!number(words[4], entry.connections)) return fail(EPROTO, "broken line from a who socket");
    return entry;
}

}   // namespace postcot::ipc
