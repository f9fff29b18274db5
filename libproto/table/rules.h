// What regexp, pcre and cidr tables share: rules in order, "if PATTERN ... endif" around them, results with $1.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"

namespace postcot::table {

struct RuleLine {
    std::string text;
    int line;   // 0: given inline
};

// The rules of a file, or of "{{rule}, {rule} ...}". Errors: the file cannot be read, a brace is missing.
Expected<std::vector<RuleLine>> read_rules(std::string_view name);

struct Rule {
    enum class What { kIf, kEndif, kMatch };
    What what = What::kMatch;
    bool negated = false;
    std::string result;
    size_t end = 0;       // kIf: index of its endif
    size_t pattern = 0;   // the table's own index of its compiled pattern
    int line = 0;
};

// Gives each line to `add`, which appends it to `rules` or says what is wrong with it; then sets `end` of every if (one without endif runs to the end of the
// table). Returns the warnings: lines that were skipped, and lines of endifs without if (those rules are removed). `where` names the table in them.
std::vector<std::string> add_rules(const std::vector<RuleLine>& lines, const std::string& where,
                                   std::vector<Rule>& rules, const std::function<Expected<void>(const RuleLine&)>& add);

// regexp and pcre tables: "endif", or the "if" before a pattern, which is taken off `text`. Sets `rule.what`.
void take_keyword(std::string_view& text, Rule& rule);

// Runs rules in order: the first match whose enclosing ifs hold. `matches` is asked for pattern numbers; nullopt: the pattern says nothing about this
// key (an IPv4 block about an IPv6 address), so that neither it nor its negation holds.
const Rule* find_rule(const std::vector<Rule>& rules,
                      const std::function<std::optional<bool>(size_t pattern)>& matches);

// "/pattern/flags rest" with any delimiter; \delimiter stands for the delimiter.
struct DelimitedPattern {
    bool negated = false;
    std::string pattern;
    std::string flags;
    std::string rest;
};
Expected<DelimitedPattern> read_delimited(std::string_view text);

// Replaces $1, ${1}, $(1) and $$. `group` gives the text of one group.
std::string substitute(std::string_view text, const std::function<std::string_view(size_t)>& group);
// The highest group number `text` uses; an error when its $ grammar is wrong.
Expected<size_t> highest_group(std::string_view text);

}   // namespace postcot::table
