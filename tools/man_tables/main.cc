// man_tables postfix|dovecot < page.5.in > page.5
//
// Fills a manual page's template from the parameter tables in libproto/config. In the template, mdoc(7) with two additions:
//
//     .It Va name                  gets type and default of that parameter (Dovecot: section/name for what stands in a section)
//     .\" @honoured-others@        becomes a list of the honoured parameters that no .It in front of it names
//     .\" @unsupported@            ... of those that are not supported            .\" @harmless@   ... of those without counterpart
//
// Nothing in the page depends on the host it is made on.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/dovecot_settings.h"
#include "libproto/config/parameter.h"

namespace {

namespace config = postcot::config;

struct Entry {
    std::string name;
    config::Kind kind;
    std::string default_value;
    config::Status status;
    std::string words;   // the values it may have, if these are few
};

std::vector<Entry> postfix_entries() {
    std::vector<Entry> out;
    for (const auto& p : config::postfix_parameters()) {
        std::string value(p.default_value);
        if (p.name == "myhostname" || p.name == "mydomain" || p.name == "mynetworks") value = "taken from the host";
        out.push_back({std::string(p.name), p.kind, value, p.status, std::string(config::allowed_words(p.name))});
    }
    for (const auto& s : config::transport_suffixes())
        out.push_back({"<transport>_" + std::string(s.suffix), s.kind, std::string(s.default_value), s.status, ""});
    return out;
}

std::vector<Entry> dovecot_entries() {
    std::vector<Entry> out;
    for (const auto& s : config::dovecot_settings()) {
        std::string name(s.parameter.name);
        if (!s.section.empty()) name = std::string(s.section) + '/' + name;
        out.push_back({name, s.parameter.kind, std::string(s.parameter.default_value), s.parameter.status,
                       std::string(config::dovecot_allowed_words(s.section, s.parameter.name))});
    }
    return out;
}

// One macro argument that prints as `text` does. A word of more than a line's width may be broken.
std::string argument(std::string_view text) {
    constexpr size_t kWidth = 40;
    std::string out = "\"\\&";
    size_t unbroken = 0;
    for (char c : text) {
        unbroken = c == ' ' ? 0 : unbroken + 1;
        if (unbroken > kWidth) {
            out += "\\:";
            unbroken = 0;
        }
        switch (c) {
            case '\\': out += "\\e"; break;
            case '"': out += "\\(dq"; break;
            case '-': out += "\\-"; break;
            case '\'': out += "\\(aq"; break;
            case '`': out += "\\(ga"; break;
            case '^': out += "\\(ha"; break;
            case '~': out += "\\(ti"; break;
            case '\t':
            case '\n': out += ' '; break;
            case ',':
                out += ",\\:";
                unbroken = 0;
                break;
            default: out += c;
        }
    }
    return out + '"';
}

std::string head(const Entry& entry) {
    std::string type(config::kind_name(entry.kind));
    if (type.starts_with("a ")) type.erase(0, 2);
    if (type.starts_with("an ")) type.erase(0, 3);
    std::string out = ".It Va " + argument(entry.name) + " Pq " + argument(type);
    if (entry.default_value.empty()) return out + " , no default";
    if (entry.default_value == "taken from the host") return out + " , default taken from the host";
    return out + " , default Li " + argument(entry.default_value);
}

void list(const std::vector<Entry>& entries, config::Status status, const std::set<std::string>& described) {
    bool any = false;
    for (const auto& entry : entries) {
        if (entry.status != status || described.contains(entry.name)) continue;
        if (!any) std::puts(".Bl -tag -width Ds -compact");
        any = true;
        std::puts(head(entry).c_str());
        if (!entry.words.empty()) std::printf("One of %s.\n", entry.words.c_str());
    }
    if (any) std::puts(".El");
}

}   // namespace

int main(int argc, char** argv) {
    std::string_view which = argc == 2 ? argv[1] : "";
    if (which != "postfix" && which != "dovecot") {
        std::fputs("usage: man_tables postfix|dovecot < template > page\n", stderr);
        return 64;
    }
    const auto entries = which == "postfix" ? postfix_entries() : dovecot_entries();
    std::set<std::string> described;
    constexpr std::string_view kItem = ".It Va ";
    for (std::string line; std::getline(std::cin, line);) {
        if (line == ".\\\" @honoured-others@") {
            list(entries, config::Status::kHonoured, described);
        } else if (line == ".\\\" @unsupported@") {
            list(entries, config::Status::kUnsupported, described);
        } else if (line == ".\\\" @harmless@") {
            list(entries, config::Status::kHarmless, described);
        } else if (line.starts_with(kItem)) {
            auto name = line.substr(kItem.size());
            auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.name == name; });
            if (entry == entries.end()) {
                std::fprintf(stderr, "man_tables: %s has no parameter %s\n", std::string(which).c_str(), name.c_str());
                return 65;
            }
            described.insert(name);
            std::puts(head(*entry).c_str());
        } else {
            std::puts(line.c_str());
        }
    }
    return std::fflush(stdout) == 0 ? 0 : 74;
}
