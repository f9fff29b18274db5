#include "queued/local/macros.h"

namespace postcot::queued {

namespace {

bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

std::string_view trim_braces(std::string_view text) {
    size_t first = text.find_first_not_of(" \t");
    size_t last = text.find_last_not_of(" \t");
    if (first == std::string_view::npos) return {};
    std::string_view inner = text.substr(first, last - first + 1);
    if (inner.size() >= 2 && inner.front() == '{' && inner.back() == '}') return inner.substr(1, inner.size() - 2);
    return text;
}

std::string expand(std::string_view text, const Macros& macros, std::string_view filter, int depth) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (text[i] != '$' || i + 1 >= text.size() || depth > 20) {
            out += text[i++];
            continue;
        }
        if (text[i + 1] == '$') {
            out += '$';
            i += 2;
            continue;
        }
        std::string_view name, condition;
        char open = text[i + 1];
        size_t next;
        if (open == '{' || open == '(') {
            char close = open == '{' ? '}' : ')';
            int level = 0;
            size_t end = i + 1;
            for (; end < text.size(); ++end) {
                if (text[end] == open) ++level;
                if (text[end] == close && --level == 0) break;
            }
            if (end >= text.size()) {
                out += text.substr(i);
                break;
            }
            std::string_view inner = text.substr(i + 2, end - i - 2);
            size_t length = 0;
            while (length < inner.size() && is_name(inner[length])) ++length;
            name = inner.substr(0, length);
            condition = inner.substr(length);
            next = end + 1;
        } else {
            size_t end = i + 1;
            while (end < text.size() && is_name(text[end])) ++end;
            name = text.substr(i + 1, end - i - 1);
            next = end;
        }
        i = next;
        auto found = macros.find(name);
        std::string value = found == macros.end() ? std::string() : found->second;
        if (condition.empty()) {
            for (char c : value) out += filter.empty() || filter.find(c) != std::string_view::npos ? c : '_';
        } else if ((condition[0] == '?') == !value.empty()) {
            out += expand(trim_braces(condition.substr(1)), macros, filter, depth + 1);
        }
    }
    return out;
}

}   // namespace

std::string expand_macros(std::string_view text, const Macros& macros, std::string_view filter) {
    return expand(text, macros, filter, 0);
}

}   // namespace postcot::queued
