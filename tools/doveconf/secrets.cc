#include "tools/doveconf/secrets.h"

#include <algorithm>

namespace postcot::doveconf {
namespace {

constexpr std::string_view kHidden = "#hidden_use-P_to_show#";

bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool goes_on_a_word(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

// "password=": a word that begins, or goes on after '_' or another sign, with pass, key or secret. Its length with the '='; 0: not here.
size_t secret_word(std::string_view value, size_t at) {
    if (at > 0 && is_letter_or_digit(value[at - 1])) return 0;
    for (std::string_view beginning : {"pass", "key", "secret"}) {
        if (!value.substr(at).starts_with(beginning)) continue;
        size_t end = at + beginning.size();
        while (end < value.size() && goes_on_a_word(value[end])) ++end;
        if (end < value.size() && value[end] == '=') return end + 1 - at;
    }
    return 0;
}

// "http://": the length, 0 where none ends the scheme here.
size_t scheme(std::string_view value, size_t at) {
    for (std::string_view name : {"http://", "https://", "ftp://"}) {
        if (value.substr(at).starts_with(name)) return name.size();
    }
    return 0;
}

}   // namespace

bool is_secret(std::string_view setting) {
    // Dovecot 2.3 shows *_secret, 2.4 hides it.
    for (std::string_view end : {"_password", "_key", "_nonce", "_secret"}) {
        if (setting.ends_with(end)) return true;
    }
    return setting == "ssl_dh";
}

std::string without_secrets(std::string_view value) {
    std::string out;
    for (size_t i = 0; i < value.size();) {
        size_t length = secret_word(value, i);
        if (length > 0) {
            out += value.substr(i, length);
            out += kHidden;
            i = std::min(value.find_first_of(" :;", i + length), value.size());
            continue;
        }
        length = scheme(value, i);
        if (length > 0) {   // user and password, if there are
            out += value.substr(i, length);
            i += length;
            size_t end = value.find_first_of("@/ ", i);
            if (end != std::string_view::npos && end > i && value[end] == '@') {
                out += kHidden;
                i = end;
            }
            continue;
        }
        out += value[i++];
    }
    return out;
}

}   // namespace postcot::doveconf
