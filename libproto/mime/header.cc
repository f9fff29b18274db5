#include "libproto/mime/header.h"

#include <algorithm>
#include <cstring>

#include "libproto/mime/charset.h"
#include "libproto/mime/encoded_word.h"

namespace postcot::mime {

namespace {

constexpr size_t kMaxParameters = 200;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

// RFC 5322 §3.2.2: white space and comments.
void skip_cfws(std::string_view& in) {
    while (!in.empty()) {
        if (is_space(in.front())) {
            in.remove_prefix(1);
        } else if (in.front() == '(') {
            int depth = 0;
            size_t i = 0;
            for (; i < in.size(); ++i) {
                if (in[i] == '\\') {
                    ++i;
                } else if (in[i] == '(') {
                    ++depth;
                } else if (in[i] == ')' && --depth == 0) {
                    break;
                }
            }
            in.remove_prefix(std::min(in.size(), i + 1));
        } else {
            return;
        }
    }
}

std::string take_quoted(std::string_view& in) {
    std::string out;
    in.remove_prefix(1);
    while (!in.empty() && in.front() != '"') {
        if (in.front() == '\\' && in.size() > 1) in.remove_prefix(1);
        if (in.front() != '\r' && in.front() != '\n' && in.front() != '\0') out += in.front();
        in.remove_prefix(1);
    }
    if (!in.empty()) in.remove_prefix(1);
    return out;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string percent_decode(std::string_view in) {
    std::string out;
    for (size_t i = 0; i < in.size(); ++i) {
        if (in[i] == '%' && i + 2 < in.size() && hex_value(in[i + 1]) >= 0 && hex_value(in[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(in[i + 1]) * 16 + hex_value(in[i + 2]));
            i += 2;
        } else {
            out += in[i];
        }
    }
    return out;
}

}   // namespace

bool iequals(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::vector<Field> parse_fields(std::string_view header) {
    std::vector<Field> fields;
    header = header.substr(0, kMaxHeader);
    size_t at = 0;
    bool in_field = false;
    while (at < header.size()) {
        const void* lf = std::memchr(header.data() + at, '\n', header.size() - at);
        size_t end = lf ? static_cast<size_t>(static_cast<const char*>(lf) - header.data()) + 1 : header.size();
        std::string_view line = header.substr(at, end - at);
        if (line == "\n" || line == "\r\n") break;
        if (line[0] == ' ' || line[0] == '\t') {
            if (in_field) {   // folded: RFC 5322 §2.2.3
                Field& field = fields.back();
                field.end = static_cast<uint32_t>(end);
                field.value = header.substr(static_cast<size_t>(field.value.data() - header.data()),
                                            end - static_cast<size_t>(field.value.data() - header.data()));
            }
        } else {
            size_t colon = line.find(':');
            in_field = colon != std::string_view::npos && colon > 0 && fields.size() < kMaxFields;
            if (in_field) {
                std::string_view name = line.substr(0, colon);
                while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
                fields.push_back(
                    Field{name, line.substr(colon + 1), static_cast<uint32_t>(at), static_cast<uint32_t>(end)});
            }
        }
        at = end;
    }
    for (Field& field : fields) {
        if (!field.value.empty() && field.value.back() == '\n') field.value.remove_suffix(1);
        if (!field.value.empty() && field.value.back() == '\r') field.value.remove_suffix(1);
    }
    return fields;
}

const Field* find_field(const std::vector<Field>& fields, std::string_view name) {
    for (const Field& field : fields)
        if (iequals(field.name, name)) return &field;
    return nullptr;
}

std::string unfold(std::string_view value) {
    value = trim(value);
    std::string out;
    out.reserve(value.size());
    for (char c : value)
        if (c != '\r' && c != '\n' && c != '\0') out += c;
    return out;
}

Parameterised parse_parameterised(std::string_view value) {
    Parameterised out;
    skip_cfws(value);
    size_t end = value.find(';');
    std::string_view head = value.substr(0, end);
    // The value ends at white space or a comment too: "text/plain (plain text)".
    size_t stop = head.find_first_of(" \t\r\n(");
    if (stop != std::string_view::npos) {
        std::string_view rest = head.substr(stop);
        skip_cfws(rest);
        std::string_view first = head.substr(0, stop);
        if (!rest.empty() && (rest.front() == '/' || first.ends_with('/'))) {   // "text / plain"
            out.value = std::string(first);
            while (!rest.empty() && rest.front() != '(') {
                size_t word = rest.find_first_of(" \t\r\n(");
                out.value += rest.substr(0, word);
                rest.remove_prefix(std::min(rest.size(), word));
                skip_cfws(rest);
            }
        } else {
            out.value = std::string(first);
        }
    } else {
        out.value = std::string(head);
    }
    std::erase(out.value, '\0');
    while (end != std::string_view::npos && out.raw.size() < kMaxParameters) {
        value.remove_prefix(end + 1);
        skip_cfws(value);
        size_t name_end = value.find_first_of("=;");
        if (name_end == std::string_view::npos) break;
        if (value[name_end] == ';') {
            end = name_end;
            continue;
        }
        std::string_view word_of_name = value.substr(0, name_end);
        std::string name = unfold(word_of_name.substr(0, word_of_name.find('(')));   // "charset (comment) = utf-8"
        value.remove_prefix(name_end + 1);
        skip_cfws(value);
        std::string text;
        if (!value.empty() && value.front() == '"') {
            text = take_quoted(value);
        } else {
            // RFC 2045 §5.1: a token. But a file's name goes up to ';': "name=my file.txt" is common.
            const bool file_name = iequals(name, "name") || iequals(name, "filename");
            size_t stop_at = std::min(value.find_first_of(file_name ? ";" : "; \t\r\n\",(<>"), value.size());
            std::string_view word = value.substr(0, stop_at);
            if (size_t comment = word.find(" ("); comment != std::string_view::npos) word = word.substr(0, comment);
            text = unfold(word);
            value.remove_prefix(stop_at);
        }
        if (!name.empty()) out.raw.emplace_back(std::move(name), std::move(text));
        end = value.find(';');
    }
    return out;
}

std::string Parameterised::parameter(std::string_view name) const {
    // RFC 2231 §3, §4: name*0, name*1*, name*.
    struct Piece {
        unsigned long number;
        bool encoded;
        std::string_view text;
    };
    std::vector<Piece> pieces;
    const std::string* plain = nullptr;
    for (const auto& [key, text] : raw) {
        if (iequals(key, name)) {
            if (!plain) plain = &text;
        } else if (key.size() > name.size() && key[name.size()] == '*' &&
                   iequals(std::string_view(key).substr(0, name.size()), name)) {
            std::string_view tail = std::string_view(key).substr(name.size() + 1);
            bool encoded = tail.empty() || tail.back() == '*';
            unsigned long number = 0;
            for (char c : tail)
                if (c >= '0' && c <= '9' && number < 100000) number = number * 10 + static_cast<unsigned long>(c - '0');
            pieces.push_back({number, encoded, text});
        }
    }
    if (pieces.empty()) return plain ? decode_header(*plain) : std::string();
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.number < b.number; });
    std::string charset, joined;
    for (size_t i = 0; i < pieces.size(); ++i) {
        std::string_view text = pieces[i].text;
        if (!pieces[i].encoded) {
            joined += text;
            continue;
        }
        if (i == 0) {   // charset'language'text
            size_t first = text.find('\'');
            size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
            if (second != std::string_view::npos) {
                charset = std::string(text.substr(0, first));
                text.remove_prefix(second + 1);
            }
        }
        joined += percent_decode(text);
    }
    if (charset.empty()) return valid_utf8(joined) ? joined : *to_utf8(joined, "windows-1252");
    auto converted = to_utf8(joined, charset);
    return converted ? *converted : scrub_utf8(joined);
}

}   // namespace postcot::mime
