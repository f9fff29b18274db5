// regexp_table(5): POSIX extended expressions, case-insensitive unless the flag 'i' turns that off.
#include <regex.h>

#include <cerrno>

#include "libproto/table/rules.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

constexpr size_t kMaxGroups = 100;

struct Expression {
    regex_t compiled{};
    bool valid = false;
    Expression() = default;
    Expression(const Expression&) = delete;
    Expression& operator=(const Expression&) = delete;
    ~Expression() {
        if (valid) ::regfree(&compiled);
    }
};

class RegexpTable final : public Table {
  public:
    Expected<std::optional<std::string>> lookup(std::string_view key) override {
        std::string subject(key);
        regmatch_t groups[kMaxGroups];
        size_t tried = 0;
        const Rule* rule = find_rule(rules_, [&](size_t pattern) {
            tried = pattern;
            const regex_t& expression = expressions_[pattern]->compiled;
            return ::regexec(&expression, subject.c_str(),
                             expression.re_nsub + 1 < kMaxGroups ? expression.re_nsub + 1 : kMaxGroups, groups, 0) == 0;
        });
        if (!rule) return std::nullopt;
        if (rule->negated) return rule->result;
        size_t count = expressions_[tried]->compiled.re_nsub + 1;
        return substitute(rule->result, [&](size_t number) -> std::string_view {
            if (number >= count || number >= kMaxGroups || groups[number].rm_so < 0) return {};
            return std::string_view(subject).substr(static_cast<size_t>(groups[number].rm_so),
                                                    static_cast<size_t>(groups[number].rm_eo - groups[number].rm_so));
        });
    }
    bool fixed_keys() const override { return false; }

    void load(const std::vector<RuleLine>& lines, const std::string& where) {
        warnings_ = add_rules(lines, where, rules_, [this](const RuleLine& line) { return add(line); });
    }

  private:
    Expected<void> add(const RuleLine& line) {
        Rule rule;
        rule.line = line.line;
        std::string_view text = line.text;
        take_keyword(text, rule);
        if (rule.what == Rule::What::kEndif) {
            rules_.push_back(std::move(rule));
            return {};
        }
        auto parts = read_delimited(text);
        if (!parts) return fail(parts.error());
        int flags = REG_EXTENDED | REG_ICASE;
        for (char flag : parts->flags) {
            switch (flag) {
                case 'i': flags ^= REG_ICASE; break;
                case 'm': flags ^= REG_NEWLINE; break;
                case 'x': flags ^= REG_EXTENDED; break;
                default: return fail(EINVAL, std::string("unknown regexp option \"") + flag + '"');
            }
        }
        auto expression = std::make_unique<Expression>();
        if (int rc = ::regcomp(&expression->compiled, parts->pattern.c_str(), flags)) {
            char reason[200];
            ::regerror(rc, &expression->compiled, reason, sizeof reason);
            return fail(EINVAL, reason);
        }
        expression->valid = true;
        rule.negated = parts->negated;
        rule.result = std::move(parts->rest);
        if (rule.what == Rule::What::kMatch) {
            auto highest = highest_group(rule.result);
            if (!highest) return fail(highest.error());
            if (*highest > expression->compiled.re_nsub || (*highest > 0 && rule.negated)) {
                return fail(EINVAL, "out of range replacement index \"" + std::to_string(*highest) + '"');
            }
        }
        rule.pattern = expressions_.size();
        expressions_.push_back(std::move(expression));
        rules_.push_back(std::move(rule));
        return {};
    }

    std::vector<std::unique_ptr<Expression>> expressions_;
    std::vector<Rule> rules_;
};

}   // namespace

Opened open_regexp(std::string_view name) {
    auto lines = read_rules(name);
    if (!lines) return fail(lines.error());
    auto table = std::make_unique<RegexpTable>();
    table->load(*lines, "regexp map " + std::string(name));
    return table;
}

}   // namespace postcot::table
