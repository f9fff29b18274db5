#include "libproto/config/edit.h"

#include <algorithm>
#include <cerrno>

#include "libproto/config/logical_lines.h"
#include "libproto/config/master_fields.h"

namespace postcot::config {
namespace {

constexpr size_t kLineLimit = 80;   // postconf -f

// Cuts one physical line, with its line end, off `rest`.
std::string_view take_line(std::string_view& rest) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end == std::string_view::npos ? rest.size() : end + 1);
    rest.remove_prefix(line.size());
    return line;
}

bool is_comment_or_empty(std::string_view line) {
    std::string_view text = trim(line);
    return text.empty() || text.front() == '#';
}

void end_line(std::string& out) {
    if (!out.empty() && out.back() != '\n') out += '\n';
}

std::vector<std::string_view> words(std::string_view text) {
    std::vector<std::string_view> out;
    size_t i = 0;
    while (i < text.size()) {
        if (is_space(text[i])) {
            ++i;
            continue;
        }
        size_t start = i;
        while (i < text.size() && !is_space(text[i])) ++i;
        out.push_back(text.substr(start, i - start));
    }
    return out;
}

std::string join(const std::vector<std::string_view>& parts, bool fold) {
    std::string out;
    size_t column = 0;
    for (auto part : parts) {
        if (column > 0) {
            if (fold && column + 1 + part.size() > kLineLimit) {
                out += "\n    ";
                column = 4;
            } else {
                out += ' ';
                ++column;
            }
        }
        out += part;
        column += part.size();
    }
    return out;
}

}   // namespace

std::string squeeze(std::string_view text) { return join(words(text), false); }
std::string fold_line(std::string_view text) { return join(words(text), true); }

std::string edit_main_cf(std::string_view text, EditAction action,
                         const std::vector<std::pair<std::string, std::string>>& parameters) {
    std::string out;
    std::vector<bool> found(parameters.size());
    bool dropping = false;   // inside the logical line of a parameter that is replaced or removed
    bool commenting = false;
    while (!text.empty()) {
        std::string_view line = take_line(text);
        if (is_comment_or_empty(line)) {
            out += line;
            continue;
        }
        if (!is_space(line.front())) {
            dropping = commenting = false;
            std::string_view name = trim(line.substr(0, line.find('=')));
            for (size_t i = 0; i < parameters.size(); ++i) {
                if (parameters[i].first != name) continue;
                found[i] = true;
                if (action == EditAction::kCommentOut) {
                    commenting = true;
                } else {
                    dropping = true;
                    if (action == EditAction::kSet) {
                        end_line(out);
                        out += parameters[i].first + " = " + parameters[i].second + '\n';
                    }
                }
                break;
            }
        }
        if (dropping) continue;
        if (commenting) out += '#';
        out += line;
    }
    if (action == EditAction::kSet) {
        for (size_t i = 0; i < parameters.size(); ++i) {
            if (found[i]) continue;
            end_line(out);
            out += parameters[i].first + " = " + parameters[i].second + '\n';
        }
    }
    return out;
}

std::string MasterEntry::format(bool folded) const {
    static constexpr size_t kColumns[] = {0, 11, 17, 25, 33, 41, 49, 57};
    std::string out;
    for (size_t i = 0; i < fields.size(); ++i) {
        if (i > 0) out += ' ';
        if (out.size() < kColumns[i]) out.append(kColumns[i] - out.size(), ' ');
        out += fields[i];
    }
    size_t column = out.size();
    bool after_override = false;
    for (size_t i = 0; i < arguments.size(); ++i) {
        bool override = arguments[i] == "-o" && i + 1 < arguments.size();
        std::string word = override ? "-o " + arguments[++i] : arguments[i];
        if (folded && (override || after_override || column + 1 + word.size() >= kLineLimit)) {
            out += "\n    " + word;
            column = 4 + word.size();
        } else {
            out += ' ' + word;
            column += 1 + word.size();
        }
        after_override = override;
    }
    return out;
}

std::string MasterEntry::command_line() const {
    std::string out = fields[7];
    for (const auto& argument : arguments) out += ' ' + argument;
    return out;
}

namespace {

// "{name = value}" or "name=value" -> both, trimmed.
std::pair<std::string, std::string> split_override(std::string_view argument) {
    if (argument.size() >= 2 && argument.front() == '{') argument = argument.substr(1, argument.size() - 2);
    size_t equals = argument.find('=');
    std::string name(trim(argument.substr(0, equals)));
    std::string value(equals == std::string_view::npos ? std::string_view{} : trim(argument.substr(equals + 1)));
    return {name, value};
}

std::string make_override(std::string_view name, std::string_view value) {
    std::string text = std::string(name) + '=' + std::string(value);
    bool braces = std::any_of(text.begin(), text.end(), [](char c) { return is_space(c); });
    return braces ? '{' + text + '}' : text;
}

}   // namespace

size_t MasterEntry::find_override(std::string_view name) const {
    for (size_t i = 0; i + 1 < arguments.size() && arguments[i].starts_with('-'); ++i) {
        if (arguments[i] != "-o") continue;
        ++i;
        if (split_override(arguments[i]).first == name) return i;
    }
    return std::string::npos;
}

std::vector<std::pair<std::string, std::string>> MasterEntry::overrides() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (size_t i = 0; i + 1 < arguments.size() && arguments[i].starts_with('-'); ++i) {
        if (arguments[i] == "-o") out.push_back(split_override(arguments[++i]));
    }
    return out;
}

void MasterEntry::set_override(std::string_view name, std::string_view value) {
    size_t at = find_override(name);
    if (at != std::string::npos) {
        arguments[at] = make_override(name, value);
        return;
    }
    size_t end = 0;   // behind the last option
    while (end < arguments.size() && arguments[end].starts_with('-')) end += arguments[end] == "-o" ? 2 : 1;
    end = std::min(end, arguments.size());
    auto position = arguments.begin() + static_cast<std::ptrdiff_t>(end);
    position = arguments.insert(position, make_override(name, value));
    arguments.insert(position, "-o");
}

void MasterEntry::remove_override(std::string_view name) {
    for (size_t at = find_override(name); at != std::string::npos; at = find_override(name)) {
        auto first = arguments.begin() + static_cast<std::ptrdiff_t>(at) - 1;
        arguments.erase(first, first + 2);
    }
}

Expected<MasterEntry> parse_master_entry(std::string_view line) {
    auto split = split_master_fields(line);
    if (!split) return fail(split.error());
    if (split->size() < 8) return fail(EINVAL, "bad field count");
    MasterEntry out;
    out.fields.assign(split->begin(), split->begin() + 8);
    bool options = true;
    for (size_t i = 8; i < split->size(); ++i) {
        std::string& field = (*split)[i];
        if (options && !field.starts_with('-')) options = false;
        if (options && field.starts_with("-o")) {
            std::string setting;
            if (field.size() > 2) {
                setting = field.substr(2);
            } else if (i + 1 < split->size()) {
                setting = (*split)[++i];
            } else {
                return fail(EINVAL, "expected name=value after -o");
            }
            auto [name, value] = split_override(setting);
            if (setting.find('=') == std::string::npos || !is_parameter_name(name)) {
                return fail(EINVAL, "expected name=value after -o, got \"" + setting + '"');
            }
            out.arguments.emplace_back("-o");
            out.arguments.push_back(make_override(name, value));
        } else {
            out.arguments.push_back(std::move(field));
        }
    }
    return out;
}

Expected<std::vector<MasterPiece>> split_master_cf(std::string_view text, const std::string& file_name) {
    std::vector<MasterPiece> out;
    std::string pending;   // comments and empty lines: they belong to an entry only when it goes on behind them
    int number = 0;
    bool in_entry = false;
    std::string logical;
    auto finish = [&]() -> Expected<void> {
        if (!in_entry) return {};
        in_entry = false;
        auto entry = parse_master_entry(logical);
        if (!entry)
            return fail(EINVAL,
                        file_name + ": line " + std::to_string(out.back().entry.line) + ": " + entry.error().text);
        entry->line = out.back().entry.line;
        out.back().entry = std::move(*entry);
        return {};
    };
    auto flush = [&] {
        if (pending.empty()) return;
        out.emplace_back();
        out.back().text = std::move(pending);
        pending.clear();
    };
    while (!text.empty()) {
        std::string_view line = take_line(text);
        ++number;
        if (is_comment_or_empty(line)) {
            pending += line;
        } else if (is_space(line.front()) && in_entry) {
            out.back().text += pending;
            pending.clear();
            out.back().text += line;
            logical += line;
        } else {
            if (auto done = finish(); !done) return fail(done.error());
            flush();
            if (is_space(line.front())) {
                return fail(EINVAL, file_name + ": line " + std::to_string(number) +
                                        ": logical line must not start with whitespace");
            }
            out.emplace_back();
            out.back().text = line;
            out.back().is_entry = true;
            out.back().entry.line = number;
            logical = line;
            in_entry = true;
        }
    }
    if (auto done = finish(); !done) return fail(done.error());
    flush();
    return out;
}

std::string join_master_cf(const std::vector<MasterPiece>& pieces) {
    std::string out;
    for (const auto& piece : pieces) {
        end_line(out);
        out += piece.changed ? piece.entry.format(true) + '\n' : piece.text;
    }
    return out;
}

std::string comment_out(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::string_view line = take_line(text);
        if (!is_comment_or_empty(line)) out += '#';
        out += line;
    }
    return out;
}

}   // namespace postcot::config
