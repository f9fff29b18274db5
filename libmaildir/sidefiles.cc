#include "libmaildir/sidefiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "libmaildir/dotlock.h"
#include "libmaildir/types.h"

namespace postcot::maildir {

namespace {

Expected<std::string> read_or_empty(Files& files, const std::string& path) {
    auto text = read_file(files, path);
    if (!text && text.error().code == ENOENT) return std::string();
    return text;
}

template <class Fn>
void each_line(std::string_view text, Fn fn) {
    while (!text.empty()) {
        size_t lf = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, lf);
        if (line.ends_with('\r')) line.remove_suffix(1);
        fn(line);
        text.remove_prefix(std::min(text.size(), lf + 1));
    }
}

std::vector<std::string> parse_keywords(std::string_view text) {
    std::vector<std::string> keywords;
    each_line(text, [&](std::string_view line) {
        size_t space = line.find(' ');
        if (space == std::string_view::npos || space == 0 || space > 2) return;
        int index = std::atoi(std::string(line.substr(0, space)).c_str());
        if (index < 0 || index >= kMaxKeywords || space + 1 == line.size()) return;
        if (keywords.size() <= static_cast<size_t>(index)) keywords.resize(static_cast<size_t>(index) + 1);
        keywords[static_cast<size_t>(index)] = std::string(line.substr(space + 1));
    });
    return keywords;
}

std::string lowered(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return text;
}

// Dovecot's str_tabescape: \001 introduces 0 (NUL), 1, t, n, r.
std::string tab_unescape(std::string_view in) {
    std::string out;
    for (size_t i = 0; i < in.size(); ++i) {
        if (in[i] != '\001' || i + 1 == in.size()) {
            out += in[i];
            continue;
        }
        switch (in[++i]) {
            case '1': out += '\001'; break;
            case 't': out += '\t'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            default: break;
        }
    }
    return out;
}
std::string tab_escape(std::string_view in) {
    std::string out;
    for (char c : in) {
        switch (c) {
            case '\001': out += "\0011"; break;
            case '\t': out += "\001t"; break;
            case '\n': out += "\001n"; break;
            case '\r': out += "\001r"; break;
            case '\0': break;
            default: out += c;
        }
    }
    return out;
}

struct Subscriptions {
    bool version2 = false;
    std::vector<std::string> names;
};
Subscriptions parse_subscriptions(std::string_view text, char separator) {
    Subscriptions out;
    out.version2 = text.starts_with("V\t2");
    bool header = out.version2;
    each_line(text, [&](std::string_view line) {
        if (header) {   // up to the empty line
            if (line.empty()) header = false;
            return;
        }
        if (line.empty()) return;
        std::string name;
        if (out.version2) {
            size_t at = 0;
            for (;;) {
                size_t tab = std::min(line.find('\t', at), line.size());
                if (at > 0) name += separator;
                name += tab_unescape(line.substr(at, tab - at));
                if (tab == line.size()) break;
                at = tab + 1;
            }
        } else {
            name = std::string(line);
        }
        if (name.find('\0') == std::string::npos) out.names.push_back(std::move(name));
    });
    return out;
}

}   // namespace

Expected<std::vector<std::string>> read_keywords(Files& files, const std::string& path) {
    auto text = read_or_empty(files, path);
    if (!text) return fail(text.error());
    return parse_keywords(*text);
}

Expected<std::vector<std::string>> add_keywords(Files& files, const std::string& path,
                                                const std::vector<std::string>& names) {
    auto lock = DotLock::acquire(files, path);
    if (!lock) return fail(lock.error());
    auto keywords = read_keywords(files, path);
    if (!keywords) return keywords;
    bool added = false;
    for (const std::string& name : names) {
        bool known = std::any_of(keywords->begin(), keywords->end(),
                                 [&](const std::string& k) { return lowered(k) == lowered(name); });
        if (known) continue;
        auto gap = std::find(keywords->begin(), keywords->end(), std::string());
        if (gap != keywords->end()) {
            *gap = name;
        } else if (keywords->size() < static_cast<size_t>(kMaxKeywords)) {
            keywords->push_back(name);
        } else {
            return fail(ENOSPC, "LIMIT", "Maximum number of keywords in this mailbox reached (26)");
        }
        added = true;
    }
    if (!added) return keywords;
    std::string text;
    for (size_t i = 0; i < keywords->size(); ++i)
        if (!(*keywords)[i].empty()) text += fmt::format("{} {}\n", i, (*keywords)[i]);
    if (auto r = lock->replace_with(text); !r) return fail(r.error());
    return keywords;
}

Expected<std::vector<std::string>> read_subscriptions(Files& files, const std::string& path, char separator) {
    auto text = read_or_empty(files, path);
    if (!text) return fail(text.error());
    return parse_subscriptions(*text, separator).names;
}

Expected<void> set_subscribed(Files& files, const std::string& path, char separator, const std::string& name, bool on) {
    auto lock = DotLock::acquire(files, path);
    if (!lock) return fail(lock.error());
    auto text = read_or_empty(files, path);
    if (!text) return fail(text.error());
    Subscriptions list = parse_subscriptions(*text, separator);
    auto at = std::find(list.names.begin(), list.names.end(), name);
    if ((at != list.names.end()) == on) return {};
    if (on) {
        list.names.push_back(name);
    } else {
        std::erase(list.names, name);
    }
    bool version2 = list.version2 || text->empty();
    std::string out = version2 ? "V\t2\n\n" : "";
    for (const std::string& n : list.names) {
        if (!version2) {
            out += n + "\n";
            continue;
        }
        size_t begin = 0;
        for (;;) {
            size_t end = std::min(n.find(separator, begin), n.size());
            if (begin > 0) out += '\t';
            out += tab_escape(std::string_view(n).substr(begin, end - begin));
            if (end == n.size()) break;
            begin = end + 1;
        }
        out += '\n';
    }
    return lock->replace_with(out);
}

Expected<uint32_t> next_uid_validity(Files& files, const std::string& directory) {
    std::string path = directory + "/dovecot-uidvalidity";
    auto token = [&](uint32_t value) { return fmt::format("{}.{:08x}", path, value); };
    auto now = static_cast<uint32_t>(std::time(nullptr));
    for (int attempt = 0; attempt < 50; ++attempt) {
        uint32_t current = 0;
        auto text = read_file(files, path, 64);
        if (text && text->size() >= 8)
            current = static_cast<uint32_t>(std::strtoul(text->substr(0, 8).c_str(), nullptr, 16));
        bool have_token = current != 0 && files.exists(token(current));
        if (!have_token) {   // moved on by a process that died before it wrote the file, or never there
            current = 0;
            auto names = files.list(directory);
            if (!names) return fail(names.error());
            for (const std::string& name : *names)
                if (name.starts_with("dovecot-uidvalidity.") && name.size() == 28)
                    current = std::max(current, static_cast<uint32_t>(std::strtoul(name.c_str() + 20, nullptr, 16)));
        }
        uint32_t next = current == 0 ? now : current + 1;
        if (current == 0) {
            auto made = files.open(token(next), Open::kCreateNew, 0444);
            if (!made && made.error().code == EEXIST) continue;
            if (!made) return fail(made.error());
        } else if (auto moved = files.rename(token(current), token(next)); !moved) {
            if (moved.error().code == ENOENT) continue;   // another process took it
            return fail(moved.error());
        }
        if (auto written = replace_file(files, path, fmt::format("{:08x}", next), 0600); !written)
            return fail(written.error());
        return next;
    }
    return fail(EAGAIN, "SERVERBUG", "dovecot-uidvalidity keeps changing: " + path);
}

}   // namespace postcot::maildir
