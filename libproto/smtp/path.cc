#include "libproto/smtp/path.h"

#include <arpa/inet.h>

#include <cstring>

#include "libproto/smtp/text.h"

namespace postcot::smtp {
namespace {

constexpr bool is_atext(char c) {   // RFC 5322 §3.2.3
    if (is_alpha(c) || is_digit(c)) return true;
    switch (c) {
        case '!':
        case '#':
        case '$':
        case '%':
        case '&':
        case '\'':
        case '*':
        case '+':
        case '-':
        case '/':
        case '=':
        case '?':
        case '^':
        case '_':
        case '`':
        case '{':
        case '|':
        case '}':
        case '~': return true;
        default: return false;
    }
}
constexpr bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }

class Parser {
  public:
    Parser(std::string_view in, PathKind kind, PathOptions options) : in_(in), kind_(kind), options_(options) {}

    Expected<Path> run(std::string_view& rest) {
        if (!options_.strict) skip_blanks();
        if (peek() == '<') {
            ++at_;
            auto path = inside('>');
            if (!path) return path;
            if (peek() != '>') return bad();
            ++at_;
            return finish(std::move(*path), rest);
        }
        if (options_.strict || at_ >= in_.size()) return bad();
        auto path = inside(' ');
        if (!path) return path;
        if (path->null()) return bad();
        return finish(std::move(*path), rest);
    }

  private:
    char peek() const { return at_ < in_.size() ? in_[at_] : '\0'; }
    void skip_blanks() {
        while (at_ < in_.size() && is_space(in_[at_])) ++at_;
    }
    tl::unexpected<Error> bad() const {
        return kind_ == PathKind::kReverse ? fail(501, "5.1.7", "Bad sender address syntax")
                                           : fail(501, "5.1.3", "Bad recipient address syntax");
    }

    Expected<Path> finish(Path path, std::string_view& rest) {
        if (at_ < in_.size() && !is_space(in_[at_])) return bad();
        if (path.null() && kind_ == PathKind::kForward) return bad();
        if (path.local.empty() && !path.domain.empty()) return bad();
        if (!options_.min_user && path.local.starts_with('-')) return bad();
        const size_t max_local = options_.strict ? 64 : kMaxLocalPart;
        if (path.local.size() > max_local) return bad();
        // §4.5.1: <postmaster> has no domain; other names without one are liberality.
        if (options_.strict && path.domain.empty() && !path.null() && !equals_ignoring_case(path.local, "postmaster")) {
            return bad();
        }
        if (!is_ascii(path.local) || !is_ascii(path.domain)) {
            if (!options_.smtputf8) return fail(553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
            if (!is_valid_utf8(path.local) || !is_valid_utf8(path.domain)) return bad();
        }
        rest = trim(in_.substr(at_));
        return path;
    }

    Expected<Path> inside(char end) {
        const size_t start = at_;
        Path path;
        if (!options_.strict && end == '>') skip_blanks();
        if (peek() == '@' && !source_route()) return bad();
        if (peek() == '"') {
            if (!quoted_string(path.local)) return bad();
            if (path.local.empty()) return bad();
        } else if (!dot_string(path.local)) {
            return bad();
        }
        if (peek() == '@') {
            ++at_;
            if (!domain(path.domain, end)) return bad();
        }
        if (!options_.strict && end == '>') skip_blanks();
        if (at_ - start > kMaxPath) return bad();
        return path;
    }

    // "@one,@two:" in front of the mailbox: accepted and ignored.
    bool source_route() {
        while (peek() == '@') {
            ++at_;
            const size_t start = at_;
            while (at_ < in_.size() && in_[at_] != ',' && in_[at_] != ':' && in_[at_] != '>' && !is_space(in_[at_]))
                ++at_;
            if (!is_domain_syntax(in_.substr(start, at_ - start), true)) return false;
            if (peek() == ',') ++at_;
        }
        if (peek() != ':') return false;
        ++at_;
        return true;
    }

    bool dot_string(std::string& out) {
        const size_t start = at_;
        while (at_ < in_.size()) {
            const char c = in_[at_];
            if (is_atext(c) || is_high(c)) {
                out += c;
            } else if (c == '.') {
                // §4.1.2: a dot stands between atoms. Real senders (docomo.ne.jp) do otherwise.
                if (options_.strict && (at_ == start || in_[at_ - 1] == '.')) return false;
                out += c;
            } else if (c == '\\' && !options_.strict && at_ + 1 < in_.size() && in_[at_ + 1] > ' ' &&
                       in_[at_ + 1] < 127) {
                out += in_[++at_];   // RFC 821 allowed quoted pairs outside quotes
            } else {
                break;
            }
            ++at_;
        }
        return !(options_.strict && !out.empty() && in_[at_ - 1] == '.');
    }

    bool quoted_string(std::string& out) {
        ++at_;
        while (at_ < in_.size()) {
            const char c = in_[at_++];
            if (c == '"') return true;
            if (c == '\\') {
                if (at_ >= in_.size() || in_[at_] < 32 || in_[at_] > 126) return false;   // quoted-pairSMTP
                out += in_[at_++];
            } else if (is_high(c) || (c >= 32 && c <= 126)) {
                out += c;
            } else {
                return false;
            }
        }
        return false;
    }

    bool domain(std::string& out, char end) {
        const size_t start = at_;
        if (peek() == '[') {
            while (at_ < in_.size() && in_[at_] != ']') ++at_;
            if (peek() != ']') return false;
            ++at_;
            out = in_.substr(start, at_ - start);
            return !parse_address_literal(out).empty();
        }
        while (at_ < in_.size() && in_[at_] != end && !is_space(in_[at_])) ++at_;
        auto name = in_.substr(start, at_ - start);
        if (name.size() > 1 && name.back() == '.') {
            if (options_.strict) return false;
            name.remove_suffix(1);
        }
        out = name;
        // An address without brackets is no domain (resolve_numeric_domain).
        return is_valid_hostname(name);
    }

    std::string_view in_;
    size_t at_ = 0;
    PathKind kind_;
    PathOptions options_;
};

}   // namespace

std::string Path::internal() const {
    std::string out = local;
    if (!domain.empty()) {
        out += '@';
        out += domain;
    }
    return out;
}

std::string Path::external() const {
    if (null()) return {};
    std::string out = quote_local(local);
    if (!domain.empty()) {
        out += '@';
        out += domain;
    }
    return out;
}

Expected<Path> parse_path(std::string_view in, PathKind kind, PathOptions options, std::string_view& rest) {
    return Parser(in, kind, options).run(rest);
}

Path split_internal(std::string_view address) {
    const size_t at = address.rfind('@');
    if (at == std::string_view::npos) return Path{std::string(address), {}};
    return Path{std::string(address.substr(0, at)), std::string(address.substr(at + 1))};
}

std::string to_external(std::string_view internal) { return split_internal(internal).external(); }

std::string to_internal(std::string_view external) {
    std::string out;
    out.reserve(external.size());
    bool quoted = false;
    for (size_t i = 0; i < external.size(); ++i) {
        const char c = external[i];
        if (c == '"') {
            quoted = !quoted;
        } else if (c == '\\' && i + 1 < external.size()) {
            out += external[++i];
        } else {
            out += c;
        }
    }
    return out;
}

std::string quote_local(std::string_view local) {
    bool plain = !local.empty() && local.front() != '.' && local.back() != '.';
    for (size_t i = 0; plain && i < local.size(); ++i) {
        const char c = local[i];
        plain = is_atext(c) || is_high(c) || (c == '.' && local[i - 1] != '.');
    }
    if (plain) return std::string(local);
    std::string out = "\"";
    for (char c : local) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
    return out;
}

bool is_ipv4(std::string_view text) {
    in_addr address{};
    if (text.size() > 15) return false;
    return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool is_ipv6(std::string_view text) {
    in6_addr address{};
    if (text.size() > 45) return false;
    return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

std::string parse_address_literal(std::string_view literal) {
    if (literal.size() < 4 || literal.size() > 64 || literal.front() != '[' || literal.back() != ']') return {};
    auto inner = literal.substr(1, literal.size() - 2);
    if (inner.find('\0') != std::string_view::npos) return {};
    if (starts_with_ignoring_case(inner, "IPv6:")) {
        inner.remove_prefix(5);
        return is_ipv6(inner) ? std::string(inner) : std::string();
    }
    return is_ipv4(inner) ? std::string(inner) : std::string();
}

bool is_domain_syntax(std::string_view domain, bool utf8) {
    if (domain.empty() || domain.size() > 255) return false;
    size_t label = 0;
    for (char c : domain) {
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
            continue;
        }
        if (!(is_alpha(c) || is_digit(c) || c == '-' || c == '_' || (utf8 && is_high(c)))) return false;
        // A label in UTF-8 is longer than its A-label's 63 octets may be; IDNA decides there.
        if (++label > 63 && is_ascii(domain)) return false;
    }
    return label > 0;
}

bool is_valid_hostname(std::string_view name) {
    if (name.size() > 1 && name.back() == '.') name.remove_suffix(1);
    if (!is_domain_syntax(name, true)) return false;
    bool numeric = true;
    for (size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        if (!is_digit(c) && c != '.') numeric = false;
        const bool label_start = i == 0 || name[i - 1] == '.';
        const bool label_end = i + 1 == name.size() || name[i + 1] == '.';
        if (c == '-' && (label_start || label_end)) return false;
    }
    return !numeric;
}

}   // namespace postcot::smtp
