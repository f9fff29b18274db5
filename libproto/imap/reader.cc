#include "libproto/imap/reader.h"

#include <algorithm>

#include "libproto/imap/text.h"

namespace postcot::imap {

namespace {
constexpr size_t kKeptTag = 256;        // of a refused command: its tag and verb
constexpr size_t kLiteralHeader = 32;   // longest "~{18446744073709551615+}\r"
constexpr uint64_t kMaxLiteral = uint64_t{1} << 62;
}   // namespace

void CommandReader::refuse(std::string why) {
    refusal_ = std::move(why);
    discard_ = true;
    keep_text_ = false;
    line_ = text_.size() > kLiteralHeader ? text_.substr(text_.size() - kLiteralHeader) : text_;
    if (text_.size() > kKeptTag) text_.resize(kKeptTag);
}

void CommandReader::after_message() {
    text_.clear();
    fresh_ = false;
    message_done_ = true;
}

void CommandReader::skip_rest() {
    fresh_ = false;
    discard_ = true;
    keep_text_ = true;
    line_.clear();
}

// RFC 3501 §9 literal, RFC 7888 "{n+}", RFC 3516 "~{n}": at the end of a line, where a string may stand.
bool CommandReader::parse_literal_header(std::string_view line, std::string_view& before) {
    if (!line.ends_with('}')) return false;
    size_t open = line.rfind('{');
    if (open == std::string_view::npos) return false;
    std::string_view digits = line.substr(open + 1, line.size() - open - 2);
    bool plus = digits.ends_with('+');
    if (plus) digits.remove_suffix(1);
    if (digits.empty() || digits.size() > 19) return false;
    uint64_t size = 0;
    for (char c : digits) {
        if (c < '0' || c > '9') return false;
        size = size * 10 + static_cast<uint64_t>(c - '0');
    }
    size_t start = open;
    bool binary = start > 0 && line[start - 1] == '~';
    if (binary) --start;
    // Before it there must be a separator; without, it is a literal all the same: the client is about to send it, or sends it already.
    misplaced_ = start > 0 && line[start - 1] != ' ' && line[start - 1] != '(';
    literal_ = std::min(size, kMaxLiteral);
    synchronising_ = !plus;
    binary_ = binary;
    before = line.substr(0, start);
    return true;
}

// "tag APPEND mailbox ... {n}": anything between the verb and the header means that the mailbox has been given.
bool CommandReader::at_append_message(std::string_view before) const {
    if (!limits_.append_streams) return false;
    if (message_done_) return true;   // RFC 3502
    size_t space = before.find(' ');
    if (space == std::string_view::npos) return false;
    before.remove_prefix(space + 1);
    if (!istarts_with(before, "APPEND ")) return false;
    before.remove_prefix(7);
    return before.find_first_not_of(' ') != std::string_view::npos;
}

// A synchronising literal is never sent then; another one and the rest of the command are thrown away.
CommandReader::Event CommandReader::refuse_literal(std::string why) {
    refuse(std::move(why));
    line_.clear();
    if (synchronising_) {
        discard_ = false;
        fresh_ = true;
        return Event::kRefused;
    }
    in_literal_ = true;
    remaining_ = literal_;
    return Event::kNeedMore;
}

CommandReader::Event CommandReader::end_of_line() {
    std::string& line = discard_ ? line_ : text_;
    if (line.ends_with('\r')) line.pop_back();
    std::string_view before;
    bool literal = parse_literal_header(line, before);
    if (discard_) {
        line_.clear();
        if (literal && !synchronising_) {
            in_literal_ = true;
            remaining_ = literal_;
            return Event::kNeedMore;
        }
        discard_ = false;
        fresh_ = true;
        return keep_text_ ? Event::kCommand : Event::kRefused;
    }
    if (!literal) {
        fresh_ = true;
        return Event::kCommand;
    }
    if (misplaced_) return refuse_literal("expected a space before the literal");
    if (at_append_message(before)) {
        text_.resize(before.size());
        while (text_.ends_with(' ')) text_.pop_back();
        fresh_ = true;
        return Event::kAppendMessage;
    }
    if (literal_ > limits_.max_command - std::min(limits_.max_command, text_.size())) {
        return refuse_literal("Literal size too large");
    }
    text_ += "\r\n";
    in_literal_ = true;
    remaining_ = literal_;
    return synchronising_ ? Event::kContinue : Event::kNeedMore;
}

CommandReader::Event CommandReader::feed(std::string_view& in) {
    if (fresh_ && !in.empty()) {
        text_.clear();
        line_.clear();
        refusal_.clear();
        fresh_ = false;
        message_done_ = false;
    }
    while (!in.empty() || (in_literal_ && remaining_ == 0)) {
        if (in_literal_) {
            size_t n = static_cast<size_t>(std::min<uint64_t>(remaining_, in.size()));
            if (!discard_) text_.append(in.substr(0, n));
            in.remove_prefix(n);
            remaining_ -= n;
            if (remaining_ == 0) in_literal_ = false;
            continue;
        }
        size_t end = in.find('\n');
        std::string_view part = in.substr(0, end);
        if (!discard_ && text_.size() + part.size() > limits_.max_command) {
            text_.append(part.substr(0, std::min(part.size(), kKeptTag)));
            refuse("Too long command line");
            line_.clear();
        }
        if (discard_) {
            line_.append(part.size() > kLiteralHeader ? part.substr(part.size() - kLiteralHeader) : part);
            if (line_.size() > kLiteralHeader) line_.erase(0, line_.size() - kLiteralHeader);
        } else {
            text_.append(part);
        }
        in.remove_prefix(end == std::string_view::npos ? in.size() : end + 1);
        if (end == std::string_view::npos) return Event::kNeedMore;
        Event event = end_of_line();
        if (event != Event::kNeedMore) return event;
    }
    return Event::kNeedMore;
}

}   // namespace postcot::imap
