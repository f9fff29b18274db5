#include "libproto/sasl/fields.h"

#include <algorithm>
#include <charconv>

#include "libproto/sasl/auth_protocol.h"

namespace postcot::sasl {

std::string tab_escape(std::string_view raw) {
    std::string out;
    out.reserve(raw.size());
    for (char c : raw) {
        switch (c) {
            case '\0': out += "\0010"; break;
            case '\001': out += "\0011"; break;
            case '\t': out += "\001t"; break;
            case '\r': out += "\001r"; break;
            case '\n': out += "\001n"; break;
            default: out += c;
        }
    }
    return out;
}

std::string tab_unescape(std::string_view escaped) {
    std::string out;
    out.reserve(escaped.size());
    for (size_t i = 0; i < escaped.size(); ++i) {
        if (escaped[i] != '\001') {
            out += escaped[i];
            continue;
        }
        if (++i == escaped.size()) break;
        switch (escaped[i]) {
            case '0': out += '\0'; break;
            case '1': out += '\001'; break;
            case 't': out += '\t'; break;
            case 'r': out += '\r'; break;
            case 'n': out += '\n'; break;
            default: out += escaped[i];
        }
    }
    return out;
}

void Fields::set(std::string_view name, std::string value) {
    for (auto& field : list_) {
        if (field.name == name) {
            field.value = std::move(value);
            return;
        }
    }
    list_.push_back({std::string(name), std::move(value)});
}

void Fields::remove(std::string_view name) {
    list_.erase(std::remove_if(list_.begin(), list_.end(), [&](const Field& f) { return f.name == name; }),
                list_.end());
}

bool Fields::has(std::string_view name) const {
    return std::any_of(list_.begin(), list_.end(), [&](const Field& f) { return f.name == name; });
}

std::string Fields::get(std::string_view name) const {
    for (const auto& field : list_) {
        if (field.name == name) return field.value.value_or(std::string());
    }
    return {};
}

void Fields::append_to(std::string& line) const {
    for (const auto& field : list_) {
        line += '\t';
        line += tab_escape(field.name);
        if (field.value) {
            line += '=';
            line += tab_escape(*field.value);
        }
    }
}

Words::Words(std::string_view line) : rest_(line) {}

std::optional<std::string_view> Words::next() {
    if (ended_) return std::nullopt;
    auto tab = rest_.find('\t');
    auto word = rest_.substr(0, tab);
    if (tab == std::string_view::npos) {
        ended_ = true;
        rest_ = {};
    } else {
        rest_.remove_prefix(tab + 1);
    }
    return word;
}

std::optional<uint32_t> Words::number() {
    auto word = next();
    if (!word) return std::nullopt;
    uint32_t value = 0;
    auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), value);
    if (error != std::errc() || end != word->data() + word->size()) return std::nullopt;
    return value;
}

bool Words::fields(Fields& out) {
    size_t count = 0;
    while (auto word = next()) {
        if (word->empty()) continue;   // Dovecot ends "OK 1 user=x" with a lone TAB
        if (++count > kMaxAuthFields) return false;
        auto equals = word->find('=');
        if (equals == std::string_view::npos) {
            out.add(tab_unescape(*word));
        } else {
            out.add(tab_unescape(word->substr(0, equals)), tab_unescape(word->substr(equals + 1)));
        }
    }
    return true;
}

}   // namespace postcot::sasl
