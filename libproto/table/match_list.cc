// mydestination, mynetworks, relay_domains, debug_peer_list ...: postconf(5)'s lists of patterns.
#include <cerrno>

#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"
#include "libproto/runtime/log.h"
#include "libproto/table/cidr.h"
#include "libproto/table/source.h"
#include "libproto/table/table.h"

namespace postcot::table {

struct MatchList::Pattern {
    bool negated = false;
    std::string text;   // lower case; also "all" and ".domain"
    bool is_block = false;
    Block block;
    std::unique_ptr<Table> table;
    Error unavailable;   // the table could not be opened: asking it is a temporary error
};

namespace {

constexpr int kMaxFiles = 8;   // files that name files

Expected<void> read_elements(std::string_view text, std::vector<std::string>& out, bool negated, int depth) {
    for (auto& element : config::split_list(text)) {
        bool not_this = negated;
        std::string_view rest = element;
        while (rest.starts_with('!')) {
            not_this = !not_this;
            rest.remove_prefix(1);
        }
        if (rest.empty()) return fail(EINVAL, "expected a pattern after '!'");
        if (!rest.starts_with('/')) {
            out.push_back((not_this ? "!" : "") + std::string(rest));
            continue;
        }
        if (depth >= kMaxFiles) return fail(EINVAL, "files are nested too deeply: " + std::string(rest));
        auto file = config::read_text(std::string(rest));
        if (!file) return fail(file.error());
        std::string lines;
        config::LogicalLines logical(*file);
        std::string line;
        while (logical.next(line)) lines += line + '\n';
        if (auto done = read_elements(lines, out, not_this, depth + 1); !done) return done;
    }
    return {};
}

// Digits and dots, an address, or anything in []: meant as an address block, so that a typing error is found at load.
bool looks_like_block(std::string_view text) {
    if (text.front() == '[' || parse_address(text.substr(0, text.find('/'))).width != 0) return true;
    return text.find_first_not_of("0123456789./") == std::string_view::npos;
}

}   // namespace

Expected<MatchList> MatchList::open(std::string_view parameter_value, const config::MainCf& main,
                                    std::string_view title) {
    MatchList list;
    for (const auto& name : main.list("parent_domain_matches_subdomains")) {
        if (name == title) list.match_subdomains_ = true;
    }
    std::vector<std::string> elements;
    if (auto done = read_elements(parameter_value, elements, false, 0); !done) {
        return fail(done.error().code, std::string(title) + ": " + done.error().text);
    }
    for (const auto& element : elements) {
        auto pattern = std::make_shared<Pattern>();
        std::string_view text = element;
        if (text.starts_with('!')) {
            pattern->negated = true;
            text.remove_prefix(1);
        }
        size_t colon = text.find(':');
        if (looks_like_block(text)) {
            auto block = parse_block(text);
            if (block) {
                pattern->is_block = true;
                pattern->block = *block;
            } else {
                return fail(EINVAL, std::string(title) + ": " + block.error().text);
            }
        } else if (colon != std::string_view::npos) {
            auto table = open_table(text, main);
            if (table) {
                for (const auto& warning : (*table)->warnings()) log::write(log::Level::kWarning, warning);
                pattern->table = std::move(*table);
            } else if (table.error().code == EINVAL || table.error().code == EOPNOTSUPP) {
                return fail(table.error().code, std::string(title) + ": " + table.error().text);
            } else {
                pattern->unavailable = table.error();
                log::write(log::Level::kWarning, table.error().text);
            }
        }
        pattern->text = fold_key(text);
        list.patterns_.push_back(std::move(pattern));
    }
    return list;
}

// Tables are asked for the name and then for its parents: "domain" where parents match subdomains, ".domain" elsewhere.
Expected<bool> MatchList::matches_name(const Pattern& pattern, std::string_view name) const {
    if (pattern.is_block) return false;
    if (!pattern.unavailable.text.empty()) return fail(pattern.unavailable);
    if (pattern.table) {
        auto found = pattern.table->lookup(name);
        if (!found) return fail(found.error());
        if (*found) return true;
        if (!pattern.table->fixed_keys()) return false;
        size_t dot = name.find('.', 1);
        while (dot != std::string_view::npos) {
            std::string_view parent = name.substr(match_subdomains_ ? dot + 1 : dot);
            if (parent.empty()) break;
            found = pattern.table->lookup(parent);
            if (!found) return fail(found.error());
            if (*found) return true;
            dot = name.find('.', dot + 1);
        }
        return false;
    }
    std::string_view text = pattern.text;
    if (name == text) return true;
    if (match_subdomains_) {
        return name.size() > text.size() && name.ends_with(text) && name[name.size() - text.size() - 1] == '.';
    }
    return text.starts_with('.') && name.size() > text.size() && name.ends_with(text);
}

Expected<bool> MatchList::matches_domain(std::string_view domain) const {
    std::string name = fold_key(domain);
    for (const auto& pattern : patterns_) {
        auto matched = matches_name(*pattern, name);
        if (!matched) return matched;
        if (*matched) return !pattern->negated;
    }
    return false;
}

Expected<bool> MatchList::matches_host(std::string_view host_name, std::string_view host_address) const {
    std::string name = fold_key(host_name);
    Address address = parse_address(host_address);
    for (const auto& pattern : patterns_) {
        bool matched = false;
        if (pattern->is_block) {
            matched = pattern->block.contains(address);
        } else {
            if (!name.empty() && name != "unknown") {
                auto by_name = matches_name(*pattern, name);
                if (!by_name) return by_name;
                matched = *by_name;
            }
            if (!matched && !pattern->unavailable.text.empty()) return fail(pattern->unavailable);
            if (!matched && pattern->table) {
                auto by_address = pattern->table->lookup(host_address);
                if (!by_address) return fail(by_address.error());
                matched = by_address->has_value();
            }
            if (!matched && pattern->text == host_address) matched = true;
        }
        if (matched) return !pattern->negated;
    }
    return false;
}

}   // namespace postcot::table
