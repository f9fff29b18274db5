// cidr_table(5).
#include <cerrno>

#include "libproto/config/logical_lines.h"
#include "libproto/table/cidr.h"
#include "libproto/table/rules.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

class CidrTable final : public Table {
  public:
    Expected<std::optional<std::string>> lookup(std::string_view key) override {
        Address address = parse_address(key);
        if (address.width == 0) return std::nullopt;
        const Rule* rule = find_rule(rules_, [&](size_t pattern) -> std::optional<bool> {
            if (blocks_[pattern].network.width != address.width) return std::nullopt;
            return blocks_[pattern].contains(address);
        });
        if (!rule) return std::nullopt;
        return rule->result;
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
        auto take_word = [&text] {
            size_t end = 0;
            while (end < text.size() && !config::is_space(text[end])) ++end;
            std::string_view word = text.substr(0, end);
            text = config::trim(text.substr(end));
            return word;
        };
        std::string_view saved = text;
        std::string first = fold_key(take_word());
        if (first == "endif") {
            rule.what = Rule::What::kEndif;
            rules_.push_back(std::move(rule));
            return {};
        }
        if (first == "if") {
            rule.what = Rule::What::kIf;
        } else if (first.starts_with("if!")) {
            rule.what = Rule::What::kIf;
            text = config::trim(saved.substr(2));
        } else {
            text = saved;
        }
        while (text.starts_with('!')) {
            rule.negated = !rule.negated;
            text = config::trim(text.substr(1));
        }
        auto block = parse_block(take_word());
        if (!block) return fail(block.error());
        if (rule.what == Rule::What::kMatch && text.empty()) return fail(EINVAL, "no lookup result");
        rule.result = text;
        rule.pattern = blocks_.size();
        blocks_.push_back(*block);
        rules_.push_back(std::move(rule));
        return {};
    }

    std::vector<Block> blocks_;
    std::vector<Rule> rules_;
};

}   // namespace

Opened open_cidr(std::string_view name) {
    auto lines = read_rules(name);
    if (!lines) return fail(lines.error());
    auto table = std::make_unique<CidrTable>();
    table->load(*lines, "cidr map " + std::string(name));
    return table;
}

}   // namespace postcot::table
