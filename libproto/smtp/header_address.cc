#include "libproto/smtp/header_address.h"

#include "libproto/smtp/path.h"

namespace postcot::smtp {
namespace {

constexpr bool is_fold(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Scanner {
  public:
    explicit Scanner(std::string_view value) : in_(value) {}

    std::vector<AddressSpan> run() {
        while (at_ < in_.size() && out_.size() < kMaxSpans) step();
        finish();
        return std::move(out_);
    }

  private:
    void step() {
        const char c = in_[at_];
        if (c == '(') {
            skip_comment();
        } else if (c == '"') {
            const size_t start = at_;
            skip_quoted();
            extend(start);
        } else if (c == '<') {
            angle();
        } else if (c == ',' || c == ';') {
            finish();
            ++at_;
        } else if (c == ':' && !in_angle_) {
            begin_ = end_ = kNone;   // the name of a group
            spaced_ = false;
            ++at_;
        } else if (c == '[') {
            const size_t start = at_;
            while (at_ < in_.size() && in_[at_] != ']' && in_[at_] != ',') ++at_;
            if (at_ < in_.size()) ++at_;
            extend(start);
        } else if (is_fold(c)) {
            ++at_;
        } else {
            const size_t start = at_;
            at_ += c == '\\' && at_ + 1 < in_.size() ? 2 : 1;
            extend(start);
        }
    }

    // The text from `start` to here belongs to a bare address, unless white space stands between it and what came
    // before.
    void extend(size_t start) {
        if (begin_ == kNone) {
            begin_ = start;
        } else if (end_ != start && in_[end_ - 1] != '@' && in_[start] != '@' && in_[end_ - 1] != '.' &&
                   in_[start] != '.') {
            spaced_ = true;
        }
        end_ = at_;
    }

    void angle() {
        const size_t open = ++at_;
        bool quoted = false;
        while (at_ < in_.size() && (quoted || in_[at_] != '>')) {
            if (in_[at_] == '"') quoted = !quoted;
            if (in_[at_] == '\\' && at_ + 1 < in_.size()) ++at_;
            ++at_;
        }
        size_t from = open;
        size_t to = at_;
        if (at_ < in_.size()) ++at_;
        while (from < to && is_fold(in_[from])) ++from;
        while (to > from && is_fold(in_[to - 1])) --to;
        if (from < to && in_[from] == '@') {   // obsolete route
            const size_t colon = in_.find(':', from);
            if (colon != std::string_view::npos && colon < to) from = colon + 1;
        }
        if (from < to) out_.push_back({from, to - from});
        in_angle_ = true;
    }

    void finish() {
        if (!in_angle_ && begin_ != kNone && !spaced_ && end_ > begin_) out_.push_back({begin_, end_ - begin_});
        begin_ = end_ = kNone;
        spaced_ = in_angle_ = false;
    }

    void skip_comment() {
        int depth = 0;
        for (; at_ < in_.size(); ++at_) {
            if (in_[at_] == '\\') {
                ++at_;
            } else if (in_[at_] == '(') {
                ++depth;
            } else if (in_[at_] == ')' && --depth == 0) {
                ++at_;
                return;
            }
        }
        if (at_ > in_.size()) at_ = in_.size();
    }

    void skip_quoted() {
        for (++at_; at_ < in_.size(); ++at_) {
            if (in_[at_] == '\\') {
                ++at_;
            } else if (in_[at_] == '"') {
                ++at_;
                return;
            }
        }
        if (at_ > in_.size()) at_ = in_.size();
    }

    static constexpr size_t kNone = std::string_view::npos;
    std::string_view in_;
    size_t at_ = 0;
    size_t begin_ = kNone, end_ = kNone;   // a bare address so far
    bool spaced_ = false;                  // it is a phrase: words apart
    bool in_angle_ = false;                // this mailbox had its <...>
    std::vector<AddressSpan> out_;
};

}   // namespace

std::vector<AddressSpan> find_addresses(std::string_view value) { return Scanner(value).run(); }

std::vector<std::string> list_addresses(std::string_view value) {
    std::vector<std::string> out;
    for (const auto& span : find_addresses(value)) {
        auto address = to_internal(value.substr(span.offset, span.length));
        std::erase_if(address, [](char c) { return c == '\n' || c == '\r'; });
        if (!address.empty()) out.push_back(std::move(address));
    }
    return out;
}

std::string rewrite_addresses(std::string_view value, const std::function<std::string(std::string_view)>& rewrite) {
    std::string out;
    size_t copied = 0;
    for (const auto& span : find_addresses(value)) {
        const auto internal = to_internal(value.substr(span.offset, span.length));
        const auto rewritten = rewrite(internal);
        if (rewritten == internal || rewritten.empty()) continue;
        out.append(value.substr(copied, span.offset - copied));
        out += to_external(rewritten);
        copied = span.offset + span.length;
    }
    out.append(value.substr(copied));
    return out;
}

}   // namespace postcot::smtp
