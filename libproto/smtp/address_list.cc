#include "libproto/smtp/address_list.h"

#include <algorithm>

namespace postcot::smtp {

namespace {

struct Token {
    enum class Kind : unsigned char { kWord, kQuoted, kLiteral, kSpecial };
    Kind kind;
    char special = 0;
    size_t begin = 0;   // in the text
    size_t end = 0;
    bool is(char c) const { return kind == Kind::kSpecial && special == c; }
};

constexpr std::string_view kSpace = " \t\r\n\0";
constexpr std::string_view kSpecial = "<>@,.;:";
constexpr std::string_view kEndsWord = " \t\r\n<>@,.;:()[]\"";   // and NUL

bool is_space(char c) { return c == 0 || kSpace.find(c) != std::string_view::npos; }
bool ends_word(char c) { return c == 0 || kEndsWord.find(c) != std::string_view::npos; }

// Behind the comment, quoted string or literal that begins at `at`; the end of the text when it is not closed.
size_t behind(std::string_view in, size_t at, char open, char close) {
    int depth = 0;
    for (; at < in.size(); ++at) {
        if (in[at] == '\\') {
            ++at;
        } else if (in[at] == open && (depth == 0 || open != close)) {
            ++depth;
        } else if (in[at] == close && --depth == 0) {
            return at + 1;
        }
    }
    return in.size();
}

std::vector<Token> scan(std::string_view in) {
    std::vector<Token> out;
    for (size_t at = 0; at < in.size() && out.size() < 4 * kMaxListed;) {
        const char c = in[at];
        const size_t begin = at;
        if (is_space(c)) {
            ++at;
        } else if (c == '(') {
            at = behind(in, at, '(', ')');
        } else if (c == '"') {
            at = behind(in, at, '"', '"');
            out.push_back({Token::Kind::kQuoted, 0, begin, at});
        } else if (c == '[') {
            at = behind(in, at, '[', ']');
            out.push_back({Token::Kind::kLiteral, 0, begin, at});
        } else if (kSpecial.find(c) != std::string_view::npos) {
            out.push_back({Token::Kind::kSpecial, c, begin, ++at});
        } else {
            do at += in[at] == '\\' && at + 1 < in.size() ? 2 : 1;
            while (at < in.size() && !ends_word(in[at]));
            out.push_back({Token::Kind::kWord, 0, begin, at});
        }
    }
    return out;
}

// From the right to the left, since only what stands to the right of words says what they are: a display name before '<', a group's name before a ':' that a
// ';' follows, an address otherwise.
class Reader {
  public:
    Reader(std::string_view in, AddressListKind kind) : in_(in), tokens_(scan(in)), kind_(kind) {}

    std::vector<ListedAddress> run() {
        for (size_t at = tokens_.size(); at > 0 && out_.size() < kMaxListed;) at = step(at);
        std::reverse(out_.begin(), out_.end());
        return std::move(out_);
    }

  private:
    static constexpr size_t kNone = std::string_view::npos;

    // `at` tokens are left; so many are left afterwards.
    size_t step(size_t at) {
        const Token& token = tokens_[at - 1];
        if (token.is(',')) {
            name_ = false;
        } else if (token.is(';')) {
            name_ = false;
            group_ = has_colon(at - 1);
        } else if (token.is(':') && group_) {
            group_ = false;
            name_ = true;
        } else if (token.is('>')) {
            if (const size_t open = opening(at - 1); open != kNone) {
                bracketed(open + 1, at - 1);
                name_ = true;
                return open;
            }
        } else if (!name_) {
            const size_t begin = address_begin(at);
            keep(begin, at);
            return begin;
        }
        return at - 1;
    }

    // The '<' that belongs to the '>' at `close`.
    size_t opening(size_t close) const {
        for (size_t i = close; i > 0; --i) {
            if (tokens_[i - 1].is('<')) return i - 1;
            if (tokens_[i - 1].is('>') || tokens_[i - 1].is(';')) return kNone;
        }
        return kNone;
    }

    // Does a group begin before the ';' at `end`?
    bool has_colon(size_t end) const {
        bool brackets = false;
        for (size_t i = end; i > 0 && !tokens_[i - 1].is(';'); --i) {
            if (tokens_[i - 1].is('>')) brackets = true;
            if (tokens_[i - 1].is('<')) brackets = false;
            if (tokens_[i - 1].is(':') && !brackets) return true;
        }
        return false;
    }

    bool joins(const Token& token) const {
        return token.is('@') || token.is('.') || (token.is(':') && !group_) || token.is('<');
    }

    // Where the bare address that ends before `end` begins: words join around '@', '.' and ':'.
    size_t address_begin(size_t end) const {
        size_t begin = end - 1;
        while (begin > 0) {
            const Token& left = tokens_[begin - 1];
            const Token& first = tokens_[begin];
            if (left.is(',') || left.is(';') || left.is('>') || (left.is(':') && group_)) break;
            const bool command = kind_ == AddressListKind::kDestinations && first.kind != Token::Kind::kSpecial &&
                                 left.kind == Token::Kind::kWord &&
                                 in_.substr(left.begin, left.end - left.begin) == "|";
            if (!joins(left) && !joins(first) && !command) break;
            --begin;
        }
        return begin;
    }

    void bracketed(size_t begin, size_t end) {
        if (begin < end && tokens_[begin].is('@')) {   // RFC 5322 §4.4: obs-route
            for (size_t i = begin; i < end; ++i) {
                if (tokens_[i].is(':')) {
                    begin = i + 1;
                    break;
                }
            }
        }
        keep(begin, end);
    }

    void keep(size_t begin, size_t end) {
        if (begin >= end) return;
        ListedAddress out;
        for (size_t i = begin; i < end; ++i) append(tokens_[i], out.address);
        out.offset = tokens_[begin].begin;
        out.length = tokens_[end - 1].end - out.offset;
        if (!out.address.empty()) out_.push_back(std::move(out));
    }

    void append(const Token& token, std::string& out) const {
        std::string_view text = in_.substr(token.begin, token.end - token.begin);
        if (token.kind != Token::Kind::kQuoted) {
            for (char c : text) {
                if (c != '\r' && c != '\n' && c != 0) out += c;
            }
            return;
        }
        text.remove_prefix(1);
        for (size_t i = 0; i < text.size() && text[i] != '"'; ++i) {
            if (text[i] == '\\' && i + 1 < text.size()) ++i;
            if (text[i] != '\r' && text[i] != '\n' && text[i] != 0) out += text[i];
        }
    }

    std::string_view in_;
    std::vector<Token> tokens_;
    AddressListKind kind_;
    bool name_ = false;    // words are a display name or a group's name
    bool group_ = false;   // within a group: ':' is where it begins
    std::vector<ListedAddress> out_;
};

}   // namespace

std::vector<ListedAddress> read_address_list(std::string_view text, AddressListKind kind) {
    return Reader(text, kind).run();
}

}   // namespace postcot::smtp
