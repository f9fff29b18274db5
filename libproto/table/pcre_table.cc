// pcre_table(5): Perl-compatible expressions (PCRE2), case-insensitive and with '.' matching newline unless flags 'i' and 's' turn that off.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cerrno>

#include "libproto/table/rules.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

struct FreeCode {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

struct Expression {
    std::unique_ptr<pcre2_code, FreeCode> code;
    std::unique_ptr<pcre2_match_data, FreeMatch> match;
    uint32_t groups = 0;
};

class PcreTable final : public Table {
  public:
    PcreTable() : context_(pcre2_match_context_create(nullptr)) {
        // A hostile subject cannot run an unlucky expression for longer than this.
        pcre2_set_match_limit(context_.get(), 1000000);
        pcre2_set_depth_limit(context_.get(), 100000);
    }

    Expected<std::optional<std::string>> lookup(std::string_view key) override {
        size_t tried = 0;
        int failed = 0;
        const Rule* rule = find_rule(rules_, [&](size_t pattern) {
            tried = pattern;
            auto& expression = expressions_[pattern];
            int rc = pcre2_match(expression.code.get(), reinterpret_cast<PCRE2_SPTR>(key.data()), key.size(), 0, 0,
                                 expression.match.get(), context_.get());
            if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) failed = rc;
            return rc >= 0;
        });
        if (failed != 0) {
            PCRE2_UCHAR reason[200];
            pcre2_get_error_message(failed, reason, sizeof reason);
            return fail(EAGAIN, "pcre map " + name_ + ": " + reinterpret_cast<const char*>(reason));
        }
        if (!rule) return std::nullopt;
        if (rule->negated) return rule->result;
        const size_t* ends = pcre2_get_ovector_pointer(expressions_[tried].match.get());
        uint32_t count = expressions_[tried].groups + 1;
        return substitute(rule->result, [&](size_t number) -> std::string_view {
            if (number >= count || ends[2 * number] == PCRE2_UNSET) return {};
            return key.substr(ends[2 * number], ends[2 * number + 1] - ends[2 * number]);
        });
    }
    bool fixed_keys() const override { return false; }

    void load(const std::vector<RuleLine>& lines, std::string name) {
        name_ = std::move(name);
        std::string where = "pcre map " + name_;
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
        uint32_t flags = PCRE2_CASELESS | PCRE2_DOTALL;
        for (char flag : parts->flags) {
            switch (flag) {
                case 'i': flags ^= PCRE2_CASELESS; break;
                case 'm': flags ^= PCRE2_MULTILINE; break;
                case 's': flags ^= PCRE2_DOTALL; break;
                case 'x': flags ^= PCRE2_EXTENDED; break;
                case 'A': flags ^= PCRE2_ANCHORED; break;
                case 'E': flags ^= PCRE2_DOLLAR_ENDONLY; break;
                case 'U': flags ^= PCRE2_UNGREEDY; break;
                case 'X': break;   // no longer an option in PCRE2: always strict
                default: return fail(EINVAL, std::string("unknown regexp option \"") + flag + '"');
            }
        }
        int code = 0;
        size_t offset = 0;
        Expression expression;
        expression.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(parts->pattern.data()), parts->pattern.size(),
                                            flags, &code, &offset, nullptr));
        if (!expression.code) {
            PCRE2_UCHAR reason[200];
            pcre2_get_error_message(code, reason, sizeof reason);
            return fail(EINVAL, "error in regex at offset " + std::to_string(offset) + ": " +
                                    reinterpret_cast<const char*>(reason));
        }
        pcre2_jit_compile(expression.code.get(), PCRE2_JIT_COMPLETE);   // without JIT it only runs slower
        pcre2_pattern_info(expression.code.get(), PCRE2_INFO_CAPTURECOUNT, &expression.groups);
        expression.match.reset(pcre2_match_data_create_from_pattern(expression.code.get(), nullptr));
        rule.negated = parts->negated;
        rule.result = std::move(parts->rest);
        if (rule.what == Rule::What::kMatch) {
            auto highest = highest_group(rule.result);
            if (!highest) return fail(highest.error());
            if (*highest > expression.groups || (*highest > 0 && rule.negated)) {
                return fail(EINVAL, "out of range replacement index \"" + std::to_string(*highest) + '"');
            }
        }
        rule.pattern = expressions_.size();
        expressions_.push_back(std::move(expression));
        rules_.push_back(std::move(rule));
        return {};
    }

    std::string name_;
    std::vector<Expression> expressions_;
    std::vector<Rule> rules_;
    std::unique_ptr<pcre2_match_context, FreeContext> context_;
};

}   // namespace

Opened open_pcre(std::string_view name) {
    auto lines = read_rules(name);
    if (!lines) return fail(lines.error());
    auto table = std::make_unique<PcreTable>();
    table->load(*lines, std::string(name));
    return table;
}

}   // namespace postcot::table
