// RFC 8970: the first words a reader would see.
#include <algorithm>

#include "libproto/mime/header.h"
#include "libproto/mime/message.h"

namespace postcot::mime {

namespace {

const Part* first_text(const Part& part, std::string_view subtype) {
    if (part.children.empty()) return part.type == "text" && part.subtype == subtype ? &part : nullptr;
    if (part.is_message()) return nullptr;
    for (const Part& child : part.children)
        if (const Part* found = first_text(child, subtype)) return found;
    return nullptr;
}

std::string without_tags(std::string_view html) {
    std::string out;
    size_t i = 0;
    while (i < html.size()) {
        if (html[i] == '<') {
            std::string_view rest = html.substr(i);
            size_t end = rest.find('>');
            for (std::string_view hidden : {"style", "script", "head", "title"}) {
                if (rest.size() > hidden.size() + 1 && iequals(rest.substr(1, hidden.size()), hidden) &&
                    (rest[hidden.size() + 1] == '>' || rest[hidden.size() + 1] == ' ')) {
                    std::string close = "</" + std::string(hidden);
                    end = std::string_view::npos;
                    for (size_t k = 1; k + close.size() <= rest.size(); ++k)
                        if (rest[k] == '<' && iequals(rest.substr(k, close.size()), close)) {
                            end = rest.find('>', k);
                            break;
                        }
                }
            }
            if (end == std::string_view::npos) break;
            i += end + 1;
            out += ' ';
            continue;
        }
        if (html[i] == '&') {
            size_t semi = html.substr(i, 10).find(';');
            if (semi != std::string_view::npos) {
                std::string_view name = html.substr(i + 1, semi - 1);
                static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
                    {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"#39", "'"}, {"nbsp", " "}};
                bool known = false;
                for (const auto& [entity, text] : kEntities)
                    if (name == entity) {
                        out += text;
                        known = true;
                    }
                if (known) {
                    i += semi + 1;
                    continue;
                }
            }
        }
        out += html[i++];
    }
    return out;
}

// White space folded, at most `max` characters; quoted lines left out when `skip_quoted`.
std::string folded(std::string_view text, size_t max, bool skip_quoted) {
    std::string out;
    size_t characters = 0;
    bool line_start = true, space = false;
    for (size_t i = 0; i < text.size() && characters < max; ++i) {
        char c = text[i];
        if (line_start && skip_quoted && c == '>') {
            size_t end = text.find('\n', i);
            if (end == std::string_view::npos) break;
            i = end;
            space = true;
            continue;
        }
        line_start = c == '\n';
        auto u = static_cast<unsigned char>(c);
        if (u <= ' ' || u == 0x7F) {
            space = true;
            continue;
        }
        if ((u & 0xC0) != 0x80) {
            if (space && !out.empty()) {
                out += ' ';
                if (++characters >= max) break;
            }
            space = false;
            ++characters;
            if (characters == max) {   // the whole of the last character
                out += c;
                while (i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xC0) == 0x80)
                    out += text[++i];
                break;
            }
        }
        out += c;
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

}   // namespace

std::string preview_of(std::string_view text, const Part& message, size_t max_characters) {
    constexpr uint64_t kLooked = 64 << 10;   // octets of the part looked at
    auto bounded = [&](const Part& part) {
        Part some = part;
        some.end = std::min(some.end, some.body + kLooked);
        return text_of(text, some);
    };
    if (const Part* plain = first_text(message, "plain")) {
        std::string content = bounded(*plain);
        std::string preview = folded(content, max_characters, true);
        if (preview.empty()) preview = folded(content, max_characters, false);
        if (!preview.empty()) return preview;
    }
    if (const Part* html = first_text(message, "html"))
        return folded(without_tags(bounded(*html)), max_characters, false);
    return {};
}

}   // namespace postcot::mime
