#include "libproto/table/source.h"

#include "libproto/config/logical_lines.h"

namespace postcot::table {
namespace {

using config::is_space;
using config::trim;

// The key ends at white space outside "quotes"; the quotes stay part of it.
size_t map_key_length(std::string_view line) {
    bool quoted = false;
    size_t i = 0;
    for (; i < line.size(); ++i) {
        if (line[i] == '\\' && i + 1 < line.size()) {
            ++i;
        } else if (line[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && is_space(line[i])) {
            break;
        }
    }
    return i;
}

// "a ,  b c" -> "a, b c": what postalias stores. Quoted parts are kept as they are.
std::string tidy_alias_value(std::string_view value) {
    std::string out;
    std::string element;
    bool quoted = false;
    int comment = 0;
    auto finish = [&] {
        std::string_view text = trim(element);
        if (!text.empty()) out += (out.empty() ? "" : ", ") + std::string(text);
        element.clear();
    };
    for (size_t i = 0; i < value.size(); ++i) {
        char c = value[i];
        if (c == '\\' && i + 1 < value.size()) {
            if (!comment) element.append(value.substr(i, 2));
            ++i;
        } else if (c == '"' && !comment) {
            quoted = !quoted;
            element += c;
        } else if (!quoted && c == '(') {
            ++comment;   // RFC 822 comments are dropped
        } else if (!quoted && comment && c == ')') {
            --comment;
        } else if (comment) {
            continue;
        } else if (!quoted && c == ',') {
            finish();
        } else if (!quoted && is_space(c)) {
            if (!element.empty() && element.back() != ' ') element += ' ';
        } else {
            element += c;
        }
    }
    if (quoted) element += '"';
    finish();
    return out;
}

// Splits "name: value"; false with a reason when it is none.
bool split_alias(std::string_view line, std::string& name, std::string_view& value, const char*& reason) {
    size_t i = 0;
    bool local = true;
    name.clear();
    reason = "need name:value pair";
    while (i < line.size() && line[i] != ':') {
        if (line[i] == '"') {
            for (++i; i < line.size() && line[i] != '"'; ++i) {
                if (line[i] == '\\' && i + 1 < line.size()) ++i;
                name += line[i];
            }
            if (i >= line.size()) return false;
            ++i;
        } else if (line[i] == '\\' && i + 1 < line.size()) {
            name += line[i + 1];
            i += 2;
        } else {
            if (line[i] == '@') local = false;
            if (is_space(line[i])) {
                if (!name.empty() && name.back() != ' ') name += ' ';
            } else {
                name += line[i];
            }
            ++i;
        }
    }
    if (i >= line.size()) return false;
    while (!name.empty() && name.back() == ' ') name.pop_back();
    value = trim(line.substr(i + 1));
    if (!local) {
        reason = "name must be local";
        return false;
    }
    return !name.empty() && !value.empty();
}

}   // namespace

std::string fold_key(std::string_view key) {
    std::string out(key);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

Source read_source(std::string_view text, const std::string& file, SourceFormat format) {
    Source out;
    config::LogicalLines lines(text);
    std::string line;
    while (lines.next(line)) {
        std::string where = file + ", line " + std::to_string(lines.first_line()) + ": ";
        if (lines.starts_blank()) {
            out.warnings.push_back(where + "logical line must not start with whitespace");
            continue;
        }
        if (line.find('\0') != std::string::npos) {
            out.warnings.push_back(where + "a NUL byte is not allowed here");
            continue;
        }
        SourceEntry entry;
        entry.line = lines.first_line();
        if (format == SourceFormat::kMap) {
            size_t length = map_key_length(line);
            entry.key = line.substr(0, length);
            entry.value = trim(std::string_view(line).substr(length));
            if (entry.key.empty() || entry.value.empty()) {
                out.warnings.push_back(where + "expected format: key whitespace value");
                continue;
            }
            if (entry.key.back() == ':')
                out.warnings.push_back(where + "record is in \"key: value\" format; is this an alias file?");
        } else {
            std::string_view value;
            const char* reason = "";
            if (!split_alias(line, entry.key, value, reason)) {
                out.warnings.push_back(where + reason);
                continue;
            }
            entry.value = tidy_alias_value(value);
        }
        out.entries.push_back(std::move(entry));
    }
    return out;
}

}   // namespace postcot::table
