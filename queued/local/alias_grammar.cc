#include "queued/local/alias_grammar.h"

namespace postcot::queued {

namespace {

constexpr std::string_view kInclude = ":include:";

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\r'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

bool starts_with_include(std::string_view text) {
    if (text.size() < kInclude.size()) return false;
    for (size_t i = 0; i < kInclude.size(); ++i) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (c != kInclude[i]) return false;
    }
    return true;
}

// The end of the element that starts at `at`: the next comma outside quotes, comments and angle brackets. A command
// without quotes ends at the comma too, as in Postfix.
size_t element_end(std::string_view line, size_t at) {
    bool quoted = false;
    bool angle = false;
    int comment = 0;
    for (size_t i = at; i < line.size(); ++i) {
        char c = line[i];
        if (c == '\\') {
            ++i;
        } else if (quoted) {
            quoted = c != '"';
        } else if (comment > 0) {
            if (c == '(') ++comment;
            if (c == ')') --comment;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '(') {
            comment = 1;
        } else if (c == '<') {
            angle = true;
        } else if (c == '>') {
            angle = false;
        } else if (c == ',' && !angle) {
            return i;
        }
    }
    return line.size();
}

// "..." as a whole: its content without the quoting. Empty when `text` is not one quoted string.
bool unquote(std::string_view text, std::string& out) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
    out.clear();
    for (size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '"') return false;
        if (text[i] == '\\' && i + 2 < text.size()) ++i;
        out += text[i];
    }
    return true;
}

// RFC 822 comments away; of "Name <address>" only the address.
std::string bare_address(std::string_view text) {
    std::string out;
    bool quoted = false;
    int comment = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '\\' && i + 1 < text.size()) {
            if (comment == 0) {
                out += c;
                out += text[i + 1];
            }
            ++i;
            continue;
        }
        if (quoted) {
            out += c;
            quoted = c != '"';
        } else if (comment > 0) {
            if (c == '(') ++comment;
            if (c == ')') --comment;
        } else if (c == '(') {
            comment = 1;
        } else if (c == '<') {
            out.clear();
        } else if (c == '>') {
            break;
        } else {
            quoted = c == '"';
            out += c;
        }
    }
    return std::string(trim(out));
}

void add(std::string_view element, std::vector<AliasTarget>& out) {
    element = trim(element);
    if (element.empty()) return;
    using Kind = AliasTarget::Kind;
    std::string text;
    bool quoted = unquote(element, text);
    if (!quoted) text = std::string(element);

    if (text[0] == '|') {
        out.push_back({Kind::kCommand, std::string(trim(std::string_view(text).substr(1)))});
    } else if (text[0] == '/') {
        out.push_back({Kind::kFile, text});
    } else if (starts_with_include(text)) {
        std::string_view path = trim(std::string_view(text).substr(kInclude.size()));
        std::string inner;
        if (unquote(path, inner)) path = inner;
        out.push_back({Kind::kInclude, std::string(path)});
    } else if (text[0] == '\\') {
        out.push_back({Kind::kExact, text.substr(1)});
    } else {
        // "a b"@example.com keeps its quotes; a string that is quoted as a whole is a local part that needs them, or
        // does not.
        std::string address = bare_address(
            quoted && text.find_first_of(" ,()<>\"\\") == std::string::npos ? std::string_view(text) : element);
        if (!address.empty()) out.push_back({Kind::kAddress, std::move(address)});
    }
}

}   // namespace

std::vector<AliasTarget> parse_destinations(std::string_view line, size_t max) {
    std::vector<AliasTarget> out;
    for (size_t at = 0; at < line.size() && out.size() < max;) {
        size_t end = element_end(line, at);
        add(line.substr(at, end - at), out);
        at = end + 1;
    }
    return out;
}

std::vector<AliasTarget> parse_destination_file(std::string_view text, size_t max) {
    std::vector<AliasTarget> out;
    while (!text.empty() && out.size() < max) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (!line.empty() && line[0] == '#') continue;
        for (auto& destination : parse_destinations(line, max - out.size())) out.push_back(std::move(destination));
    }
    return out;
}

}   // namespace postcot::queued
