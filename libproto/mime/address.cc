#include "libproto/mime/address.h"

namespace postcot::mime {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0'; }

constexpr std::string_view kSpecials = "<>@,;:()\"";   // RFC 5322 §3.2.3, those that end an atom here

class Parser {
  public:
    explicit Parser(std::string_view in) : in_(in) {}

    std::vector<Address> run() {
        std::vector<Address> out;
        bool in_group = false;
        while (out.size() < kMaxAddresses) {
            comment_.clear();
            skip();
            if (in_.empty()) break;
            char c = in_.front();
            if (c == ',') {
                in_.remove_prefix(1);
            } else if (c == ';') {
                in_.remove_prefix(1);
                if (in_group) out.push_back({Address::Kind::kGroupEnd, {}, {}, {}, {}});
                in_group = false;
            } else {
                address(out, in_group);
            }
        }
        if (in_group) out.push_back({Address::Kind::kGroupEnd, {}, {}, {}, {}});
        return out;
    }

  private:
    void skip() {
        while (!in_.empty()) {
            if (is_space(in_.front())) {
                in_.remove_prefix(1);
            } else if (in_.front() == '(') {
                take_comment();
            } else {
                return;
            }
        }
    }

    void take_comment() {
        std::string text;
        int depth = 0;
        while (!in_.empty()) {
            char c = in_.front();
            in_.remove_prefix(1);
            if (c == '\\' && !in_.empty()) {
                text += in_.front();
                in_.remove_prefix(1);
                continue;
            }
            if (c == '(' && depth++ == 0) continue;
            if (c == ')' && --depth == 0) break;
            if (c != '\r' && c != '\n' && c != '\0') text += c;
        }
        comment_ = std::move(text);
    }

    std::string quoted() {
        std::string out;
        in_.remove_prefix(1);
        while (!in_.empty() && in_.front() != '"') {
            if (in_.front() == '\\' && in_.size() > 1) in_.remove_prefix(1);
            if (in_.front() != '\r' && in_.front() != '\n' && in_.front() != '\0') out += in_.front();
            in_.remove_prefix(1);
        }
        if (!in_.empty()) in_.remove_prefix(1);
        return out;
    }

    std::string atom(std::string_view stop) {
        std::string out;
        while (!in_.empty() && !is_space(in_.front()) && stop.find(in_.front()) == std::string_view::npos) {
            out += in_.front();
            in_.remove_prefix(1);
        }
        return out;
    }

    std::string domain() {
        std::string out;
        skip();
        if (!in_.empty() && in_.front() == '[') {   // domain literal
            while (!in_.empty()) {
                char c = in_.front();
                in_.remove_prefix(1);
                if (!is_space(c)) out += c;
                if (c == ']') break;
            }
            return out;
        }
        for (;;) {   // dot-atom with CFWS around the dots
            out += atom(kSpecials);
            skip();
            // Every further turn takes at least one byte: what atom() cannot take ends the domain, even after a dot.
            if (in_.empty() || kSpecials.find(in_.front()) != std::string_view::npos) return out;
            if (in_.front() != '.' && !out.ends_with('.')) return out;
        }
    }

    // Words up to a special: a phrase (joined with spaces), and the same as a local part. False: it is none, since words stand side by side in it, or it is one
    // quoted string and nothing more.
    bool words(std::string& phrase, std::string& local) {
        bool one = true;      // words join around dots: "a . b@c" (RFC 5322 §4.4)
        bool single = true;   // ... which says nothing of "J. Doe"
        bool quotes = false;
        for (;;) {
            skip();
            if (in_.empty()) return single && !quotes;
            char c = in_.front();
            std::string word;
            if (c == '"') {
                quotes = local.empty();
                word = quoted();
            } else if (c == '<' || c == '@' || c == ':' || c == ',' || c == ';' || c == '>') {
                return c == '@' ? one : single && !quotes;
            } else if (c == ')') {
                in_.remove_prefix(1);
                continue;
            } else {
                word = atom(kSpecials);
            }
            if (!local.empty()) {
                single = false;
                one = one && (local.ends_with('.') || word.starts_with('.'));
            }
            if (!phrase.empty()) phrase += ' ';
            phrase += word;
            local += word;
        }
    }

    void address(std::vector<Address>& out, bool& in_group) {
        std::string phrase, local;
        const bool is_local = words(phrase, local);
        Address result;
        char c = in_.empty() ? '\0' : in_.front();
        if (c == ':') {
            in_.remove_prefix(1);
            if (in_group || phrase.empty()) return;
            in_group = true;
            out.push_back({Address::Kind::kGroupStart, {}, {}, std::move(phrase), {}});
            return;
        }
        if (c == '<') {
            in_.remove_prefix(1);
            angle(result);
            result.name = std::move(phrase);
            if (result.name.empty()) result.name = comment_;
            out.push_back(std::move(result));
            return;
        }
        if (c == '>') {
            in_.remove_prefix(1);
            if (phrase.empty()) return;
        }
        // As Dovecot: what is only a name has neither mailbox nor domain. Nobody wrote the address that its words would make.
        if (!is_local && !phrase.empty()) {
            skip_to_separator();
            result.name = std::move(phrase);
            out.push_back(std::move(result));
            return;
        }
        result.mailbox = std::move(local);
        if (c == '@') {
            in_.remove_prefix(1);
            comment_.clear();
            result.host = domain();
            skip();
            result.name = comment_;   // "user@host (Full Name)"
            // Something else before the next separator: "a@b <c@d>" has a name that looks like an address.
            if (!in_.empty() && in_.front() == '<') {
                std::string name = result.mailbox + "@" + result.host;
                in_.remove_prefix(1);
                Address inner;
                angle(inner);
                inner.name = std::move(name);
                out.push_back(std::move(inner));
                return;
            }
            skip_to_separator();
        }
        if (!result.mailbox.empty() || !result.host.empty()) out.push_back(std::move(result));
    }

    void skip_to_separator() {
        while (!in_.empty() && in_.front() != ',' && in_.front() != ';') {
            if (in_.front() == '"') {
                quoted();
            } else {
                in_.remove_prefix(1);
            }
        }
    }

    // After '<': optional route, local part, domain, '>'.
    void angle(Address& result) {
        skip();
        if (!in_.empty() && in_.front() == '@') {   // RFC 5322 §4.4 obs-route
            size_t colon = in_.find(':');
            size_t close = in_.find('>');
            if (colon != std::string_view::npos && colon < close) {
                for (char c : in_.substr(0, colon))
                    if (!is_space(c)) result.route += c;
                in_.remove_prefix(colon + 1);
            }
        }
        std::string phrase;
        const bool is_local =
            words(phrase, result.mailbox) || (!in_.empty() && in_.front() == '>' && phrase == result.mailbox);
        if (!in_.empty() && in_.front() == '@') {
            in_.remove_prefix(1);
            result.host = domain();
        }
        if (!is_local && !phrase.empty()) result.mailbox = result.host = "";
        while (!in_.empty() && in_.front() != '>') {
            if (in_.front() == ',') return;
            in_.remove_prefix(1);
        }
        if (!in_.empty()) in_.remove_prefix(1);
        std::string before = comment_;
        comment_.clear();
        skip();
        if (comment_.empty()) comment_ = std::move(before);
    }

    std::string_view in_;
    std::string comment_;
};

}   // namespace

std::vector<Address> parse_addresses(std::string_view value) { return Parser(value).run(); }

}   // namespace postcot::mime
