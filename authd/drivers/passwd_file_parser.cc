#include "authd/drivers/passwd_file_parser.h"

#include <algorithm>

namespace postcot::authd {

std::optional<PasswdFileEntry> parse_passwd_file_line(std::string_view line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line[0] == '#' || line[0] == ':') return std::nullopt;
    std::string_view parts[8];
    size_t count = 0;
    while (count < 7) {
        auto colon = line.find(':');
        parts[count++] = line.substr(0, colon);
        if (colon == std::string_view::npos) {
            line = {};
            break;
        }
        line.remove_prefix(colon + 1);
        if (count == 7) parts[7] = line;   // all the rest: extra fields may hold colons
    }
    PasswdFileEntry entry;
    entry.user = std::string(parts[0]);
    entry.password = std::string(parts[1]);
    entry.uid = std::string(parts[2]);
    entry.gid = std::string(parts[3]);
    entry.home = std::string(parts[5]);
    entry.has_userdb = count > 2;
    std::string_view extra = parts[7];
    size_t i = 0;
    while (i < extra.size()) {
        while (i < extra.size() && extra[i] == ' ') ++i;
        size_t start = i;
        while (i < extra.size() && extra[i] != ' ') ++i;
        if (i == start) break;
        std::string_view word = extra.substr(start, i - start);
        auto equals = word.find('=');
        if (equals == std::string_view::npos)
            entry.extra.add(std::string(word));
        else
            entry.extra.add(std::string(word.substr(0, equals)), std::string(word.substr(equals + 1)));
    }
    return entry;
}

PasswdFile parse_passwd_file(std::string_view text) {
    PasswdFile file;
    while (!text.empty()) {
        auto end = text.find('\n');
        auto entry = parse_passwd_file_line(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (!entry) continue;
        std::string user = entry->user;
        if (file.entries.emplace(user, std::move(*entry)).second) file.order.push_back(std::move(user));
    }
    return file;
}

Expected<PasswdFileArgs> parse_passwd_file_args(std::string_view args) {
    PasswdFileArgs out;
    for (;;) {
        while (!args.empty() && args[0] == ' ') args.remove_prefix(1);
        auto space = args.find(' ');
        std::string_view word = args.substr(0, space);
        if (word.substr(0, 7) == "scheme=") {
            out.scheme = std::string(word.substr(7));
            std::transform(out.scheme.begin(), out.scheme.end(), out.scheme.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
        } else if (word.substr(0, 16) == "username_format=") {
            out.username_format = std::string(word.substr(16));
        } else {
            break;
        }
        args = space == std::string_view::npos ? std::string_view() : args.substr(space + 1);
    }
    out.path = std::string(args);
    if (out.path.empty()) return fail(0, "passwd-file: Missing args");
    return out;
}

}   // namespace postcot::authd
