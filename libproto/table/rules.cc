#include "libproto/table/rules.h"

#include <cctype>
#include <cerrno>

#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"
#include "libproto/table/source.h"

namespace postcot::table {

using config::is_space;
using config::trim;

Expected<std::vector<RuleLine>> read_rules(std::string_view name) {
    std::vector<RuleLine> out;
    if (name.starts_with('{')) {
        std::string_view body = trim(name);
        if (body.size() < 2 || body.back() != '}')
            return fail(EINVAL, "missing '}' at the end of \"" + std::string(name) + '"');
        for (const auto& element : config::split_list(body.substr(1, body.size() - 2))) {
            if (element.front() != '{' || element.back() != '}' || element.size() < 2) {
                return fail(EINVAL, "expected {rule} at \"" + element + '"');
            }
            out.push_back({std::string(trim(std::string_view(element).substr(1, element.size() - 2))), 0});
        }
        return out;
    }
    auto text = config::read_text(std::string(name));
    if (!text) return fail(text.error());
    config::LogicalLines lines(*text);
    std::string line;
    while (lines.next(line)) out.push_back({std::string(trim(line)), lines.first_line()});
    return out;
}

namespace {

// Sets `end` of every if and removes endifs without one.
std::vector<std::string> match_ifs(std::vector<Rule>& rules, const std::string& where) {
    std::vector<std::string> warnings;
    std::vector<Rule> kept;
    std::vector<size_t> open;
    for (auto& rule : rules) {
        if (rule.what == Rule::What::kEndif) {
            if (open.empty()) {
                warnings.push_back(where + ", line " + std::to_string(rule.line) +
                                   ": ignoring ENDIF without matching IF");
                continue;
            }
            kept[open.back()].end = kept.size();
            open.pop_back();
        } else if (rule.what == Rule::What::kIf) {
            open.push_back(kept.size());
        }
        kept.push_back(std::move(rule));
    }
    for (size_t index : open) {
        kept[index].end = kept.size();
        warnings.push_back(where + ", line " + std::to_string(kept[index].line) + ": IF has no matching ENDIF");
    }
    rules = std::move(kept);
    return warnings;
}

}   // namespace

std::vector<std::string> add_rules(const std::vector<RuleLine>& lines, const std::string& where,
                                   std::vector<Rule>& rules,
                                   const std::function<Expected<void>(const RuleLine&)>& add) {
    std::vector<std::string> warnings;
    for (const auto& line : lines) {
        if (auto done = add(line); !done)
            warnings.push_back(where + ", line " + std::to_string(line.line) + ": " + done.error().text +
                               ": skipping this rule");
    }
    for (auto& warning : match_ifs(rules, where)) warnings.push_back(std::move(warning));
    return warnings;
}

void take_keyword(std::string_view& text, Rule& rule) {
    std::string folded = fold_key(text.substr(0, 6));
    if (folded.starts_with("endif")) {
        rule.what = Rule::What::kEndif;
    } else if (folded.starts_with("if") && text.size() > 2 && !std::isalnum(static_cast<unsigned char>(text[2]))) {
        rule.what = Rule::What::kIf;
        text.remove_prefix(2);
    }
}

const Rule* find_rule(const std::vector<Rule>& rules, const std::function<std::optional<bool>(size_t)>& matches) {
    for (size_t i = 0; i < rules.size(); ++i) {
        const Rule& rule = rules[i];
        if (rule.what == Rule::What::kEndif) continue;
        auto matched = matches(rule.pattern);
        bool holds = matched && *matched != rule.negated;
        if (rule.what == Rule::What::kIf) {
            if (!holds) i = rule.end;   // its endif, or the end
        } else if (holds) {
            return &rule;
        }
    }
    return nullptr;
}

Expected<DelimitedPattern> read_delimited(std::string_view text) {
    DelimitedPattern out;
    text = trim(text);
    while (text.starts_with('!')) {
        out.negated = !out.negated;
        text = trim(text.substr(1));
    }
    if (text.empty()) return fail(EINVAL, "no regexp: expected /pattern/");
    char delimiter = text.front();
    if (std::isalnum(static_cast<unsigned char>(delimiter)))
        return fail(EINVAL, "expected a delimiter such as '/' before the pattern");
    size_t i = 1;
    for (; i < text.size() && text[i] != delimiter; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            if (text[i + 1] != delimiter) out.pattern += '\\';
            out.pattern += text[++i];
        } else {
            out.pattern += text[i];
        }
    }
    if (i >= text.size()) return fail(EINVAL, std::string("no closing regexp delimiter \"") + delimiter + '"');
    ++i;
    size_t start = i;
    while (i < text.size() && !is_space(text[i])) ++i;
    out.flags = text.substr(start, i - start);
    out.rest = trim(text.substr(i));
    return out;
}

namespace {

// Calls literal(text) and group(number) for each piece. False when the $ grammar is wrong.
template <class Literal, class Group>
bool each_piece(std::string_view text, const Literal& literal, const Group& group) {
    while (!text.empty()) {
        size_t dollar = text.find('$');
        if (dollar > 0) literal(text.substr(0, dollar));
        if (dollar == std::string_view::npos) return true;
        text.remove_prefix(dollar + 1);
        if (text.starts_with('$')) {
            literal(std::string_view("$"));
            text.remove_prefix(1);
            continue;
        }
        char close = text.starts_with('{') ? '}' : text.starts_with('(') ? ')' : 0;
        if (close) text.remove_prefix(1);
        size_t digits = 0;
        size_t number = 0;
        while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && digits < 4) {
            number = number * 10 + static_cast<size_t>(text[digits++] - '0');
        }
        if (digits == 0) return false;
        text.remove_prefix(digits);
        if (close) {
            if (!text.starts_with(close)) return false;
            text.remove_prefix(1);
        }
        group(number);
    }
    return true;
}

}   // namespace

std::string substitute(std::string_view text, const std::function<std::string_view(size_t)>& group) {
    std::string out;
    each_piece(
        text, [&](std::string_view piece) { out += piece; }, [&](size_t number) { out += group(number); });
    return out;
}

Expected<size_t> highest_group(std::string_view text) {
    size_t highest = 0;
    bool good = each_piece(
        text, [](std::string_view) {}, [&](size_t number) { highest = number > highest ? number : highest; });
    if (!good) return fail(EINVAL, "non-numeric replacement index in \"" + std::string(text) + '"');
    return highest;
}

}   // namespace postcot::table
