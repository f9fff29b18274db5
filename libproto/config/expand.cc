#include "libproto/config/expand.h"

#include <cerrno>
#include <cstdlib>

#include "libproto/config/logical_lines.h"

namespace postcot::config {
namespace {

constexpr int kMaxDepth = 100;               // Postfix: "unreasonable macro call nesting"
constexpr size_t kMaxResult = 1024 * 1024;   // bounds $a$a$a... doubling

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Length of the group that starts with `open` at text[0], with both ends; npos when it is not closed.
size_t group_length(std::string_view text, char open, char close) {
    int depth = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == open) ++depth;
        if (text[i] == close && --depth == 0) return i + 1;
    }
    return std::string_view::npos;
}

std::string_view skip_space(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    return text;
}

class Expander {
  public:
    explicit Expander(const Names& names) : names_(names) {}

    Expected<void> run(std::string_view text, std::string& out, int depth) {
        if (depth > kMaxDepth) return fail(0, "unreasonable macro call nesting");
        while (!text.empty()) {
            size_t dollar = text.find('$');
            out += text.substr(0, dollar);
            if (out.size() > kMaxResult) return fail(0, "the expanded value is longer than 1 MB");
            if (dollar == std::string_view::npos) break;
            text.remove_prefix(dollar + 1);
            if (text.empty()) return fail(0, "expected a parameter name after the last '$'");
            if (text.front() == '$') {
                out += '$';
                text.remove_prefix(1);
            } else if (text.front() == '{' || text.front() == '(') {
                size_t length = group_length(text, text.front(), text.front() == '{' ? '}' : ')');
                if (length == std::string_view::npos) {
                    return fail(0, std::string("truncated macro reference: expected a closing '") +
                                       (text.front() == '{' ? '}' : ')') + "' after \"$" +
                                       std::string(text.substr(0, 60)) + '"');
                }
                if (auto done = reference(text.substr(1, length - 2), out, depth); !done) return done;
                text.remove_prefix(length);
            } else {
                size_t length = 0;
                while (length < text.size() && is_name_char(text[length])) ++length;
                if (length == 0) {
                    return fail(0,
                                "expected a parameter name after '$' in \"$" + std::string(text.substr(0, 60)) + '"');
                }
                if (auto done = value_of(text.substr(0, length), out, depth); !done) return done;
                text.remove_prefix(length);
            }
        }
        return {};
    }

  private:
    Expected<void> value_of(std::string_view name, std::string& out, int depth) {
        std::string raw;
        if (!names_.value(name, raw)) return {};
        return run(raw, out, depth + 1);
    }

    // One branch after ? or : ; "{text}" or, as the last one, bare text. Leaves what follows in `rest`.
    Expected<std::string_view> branch(std::string_view& rest) {
        std::string_view start = skip_space(rest);
        if (!start.empty() && start.front() == '{') {
            size_t length = group_length(start, '{', '}');
            if (length == std::string_view::npos)
                return fail(0, "expected a closing '}' after \"" + std::string(start.substr(0, 60)) + '"');
            rest = skip_space(start.substr(length));
            return start.substr(1, length - 2);
        }
        std::string_view all = rest;
        rest = {};
        return all;
    }

    // What stands between ${ and }.
    Expected<void> reference(std::string_view body, std::string& out, int depth) {
        std::string_view rest = skip_space(body);
        bool truth = false;
        std::string value;
        if (!rest.empty() && rest.front() == '{') {
            auto holds = relation(rest, depth);
            if (!holds) return fail(holds.error());
            truth = *holds;
            value = truth ? "true" : "";
        } else {
            size_t length = 0;
            while (length < rest.size() && is_name_char(rest[length])) ++length;
            if (length == 0)
                return fail(0, "expected a parameter name in \"${" + std::string(body.substr(0, 60)) + "}\"");
            if (auto done = value_of(rest.substr(0, length), value, depth); !done) return done;
            truth = !value.empty();
            rest = skip_space(rest.substr(length));
        }
        if (rest.empty()) {
            out += value;
            return {};
        }
        char op = rest.front();
        if (op != '?' && op != ':') {
            return fail(0, "expected '?', ':' or '}' in \"${" + std::string(body.substr(0, 60)) + "}\"");
        }
        rest.remove_prefix(1);
        auto first = branch(rest);
        if (!first) return fail(first.error());
        std::string_view chosen = (op == '?') == truth ? *first : std::string_view{};
        if (!rest.empty()) {
            if (op != '?' || rest.front() != ':') {
                return fail(0, "expected ':' or '}' at \"" + std::string(rest.substr(0, 60)) + '"');
            }
            rest.remove_prefix(1);
            auto second = branch(rest);
            if (!second) return fail(second.error());
            if (!rest.empty()) return fail(0, "expected '}' at \"" + std::string(rest.substr(0, 60)) + '"');
            if (!truth) chosen = *second;
        }
        return run(chosen, out, depth + 1);
    }

    // {a} op {b}; leaves "? ..." in `rest`.
    Expected<bool> relation(std::string_view& rest, int depth) {
        std::string left;
        std::string right;
        if (auto done = operand(rest, left, depth); !done) return fail(done.error());
        rest = skip_space(rest);
        std::string_view op = rest.substr(0, rest.find('{'));
        rest.remove_prefix(op.size());
        op = trim(op);
        if (auto done = operand(rest, right, depth); !done) return fail(done.error());
        rest = skip_space(rest);
        bool levels = op.ends_with("level");
        if (levels) op.remove_suffix(5);
        int order = levels ? compare_levels(left, right) : compare(left, right);
        if (op == "==") return order == 0;
        if (op == "!=") return order != 0;
        if (op == "<") return order < 0;
        if (op == "<=") return order <= 0;
        if (op == ">") return order > 0;
        if (op == ">=") return order >= 0;
        return fail(0,
                    "expected one of == != < <= > >= between {} groups, got \"" + std::string(op.substr(0, 60)) + '"');
    }

    Expected<void> operand(std::string_view& rest, std::string& out, int depth) {
        rest = skip_space(rest);
        size_t length = rest.empty() || rest.front() != '{' ? std::string_view::npos : group_length(rest, '{', '}');
        if (length == std::string_view::npos)
            return fail(0, "expected {text} at \"" + std::string(rest.substr(0, 60)) + '"');
        std::string_view body = rest.substr(1, length - 2);
        rest.remove_prefix(length);
        return run(body, out, depth + 1);
    }

    // Both all digits: as numbers; else as texts (postconf(5)).
    static int compare(const std::string& a, const std::string& b) {
        auto digits = [](const std::string& s) {
            return !s.empty() && s.find_first_not_of("0123456789") == std::string::npos;
        };
        if (digits(a) && digits(b)) {
            long x = std::strtol(a.c_str(), nullptr, 10);
            long y = std::strtol(b.c_str(), nullptr, 10);
            return x < y ? -1 : x > y;
        }
        return a.compare(b);
    }

    const Names& names_;
};

}   // namespace

int compare_levels(std::string_view a, std::string_view b) {
    for (int part = 0; part < 3; ++part) {
        auto take = [](std::string_view& text) {
            size_t dot = text.find('.');
            std::string digits(text.substr(0, dot));
            text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
            return std::strtol(digits.c_str(), nullptr, 10);
        };
        long x = take(a);
        long y = take(b);
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

Expected<std::string> expand(std::string_view text, const Names& names) {
    std::string out;
    Expander expander(names);
    if (auto done = expander.run(text, out, 0); !done) return fail(done.error());
    return out;
}

}   // namespace postcot::config
