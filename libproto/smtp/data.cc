#include "libproto/smtp/data.h"

#include <cstring>

namespace postcot::smtp {
namespace {

// Appends with stray CRs turned into blanks.
void append_clean(std::string_view text, std::string& out) {
    while (!text.empty()) {
        const auto* cr = static_cast<const char*>(std::memchr(text.data(), '\r', text.size()));
        if (!cr) {
            out.append(text);
            return;
        }
        const auto n = static_cast<size_t>(cr - text.data());
        out.append(text.substr(0, n));
        out += ' ';
        text.remove_prefix(n + 1);
    }
}

}   // namespace

size_t DataDecoder::feed(std::string_view in, std::string& out) {
    size_t at = 0;
    while (at < in.size() && !done_) {
        const char c = in[at];
        switch (state_) {
            case State::kLineStart:
                if (c == '.') {
                    state_ = State::kDot;
                    ++at;
                } else {
                    state_ = State::kInLine;
                }
                break;

            case State::kDot:   // a dot first on the line
                if (c == '\r') {
                    state_ = State::kDotCr;
                    ++at;
                } else if (c == '\n') {
                    ++at;
                    saw_bare_newline_ = true;
                    if (policy_ == BareNewline::kAllow) {
                        done_ = true;
                    } else {   // content: a lone dot, which is kept since nothing follows it
                        out += ".\n";
                        previous_ended_in_crlf_ = false;
                        state_ = State::kLineStart;
                    }
                } else {
                    state_ = State::kInLine;   // the dot was stuffing
                }
                break;

            case State::kDotCr:
                if (c == '\n') {
                    ++at;
                    if (previous_ended_in_crlf_ || policy_ == BareNewline::kAllow) {
                        done_ = true;
                    } else {
                        out += ".\n";
                        previous_ended_in_crlf_ = true;
                        state_ = State::kLineStart;
                    }
                } else {
                    out += ' ';   // the dot was stuffing, the CR stray
                    state_ = c == '\r' ? State::kCr : State::kInLine;
                    if (c == '\r') ++at;
                }
                break;

            case State::kInLine: {
                const auto rest = in.substr(at);
                const auto* newline = static_cast<const char*>(std::memchr(rest.data(), '\n', rest.size()));
                const size_t length = newline ? static_cast<size_t>(newline - rest.data()) : rest.size();
                auto text = rest.substr(0, length);
                const bool cr = !text.empty() && text.back() == '\r';
                if (cr) text.remove_suffix(1);
                append_clean(text, out);
                at += length;
                if (newline) {
                    ++at;
                    out += '\n';
                    previous_ended_in_crlf_ = cr;
                    if (!cr) saw_bare_newline_ = true;
                    state_ = State::kLineStart;
                } else if (cr) {
                    state_ = State::kCr;
                }
                break;
            }

            case State::kCr:   // a CR whose successor is not known yet
                if (c == '\n') {
                    ++at;
                    out += '\n';
                    previous_ended_in_crlf_ = true;
                    state_ = State::kLineStart;
                } else {
                    out += ' ';
                    if (c == '\r') {
                        ++at;
                    } else {
                        state_ = State::kInLine;
                    }
                }
                break;
        }
    }
    return at;
}

void ChunkDecoder::feed(std::string_view in, std::string& out) {
    while (!in.empty()) {
        if (pending_cr_) {
            pending_cr_ = false;
            if (in.front() == '\n') {
                out += '\n';
                in.remove_prefix(1);
                at_line_start_ = true;
                continue;
            }
            out += ' ';
        }
        const auto* newline = static_cast<const char*>(std::memchr(in.data(), '\n', in.size()));
        const size_t length = newline ? static_cast<size_t>(newline - in.data()) : in.size();
        auto text = in.substr(0, length);
        const bool cr = !text.empty() && text.back() == '\r';
        if (cr) text.remove_suffix(1);
        append_clean(text, out);
        if (newline) {
            if (!cr) saw_bare_newline_ = true;
            out += '\n';
            at_line_start_ = true;
            in.remove_prefix(length + 1);
        } else {
            pending_cr_ = cr;
            if (!text.empty() || cr) at_line_start_ = false;
            in = {};
        }
    }
}

bool ChunkDecoder::finish(std::string& out) {
    if (pending_cr_) out += ' ';
    pending_cr_ = false;
    if (at_line_start_) return false;
    out += '\n';
    at_line_start_ = true;
    return true;
}

void DataEncoder::feed(std::string_view content, std::string& out) {
    while (!content.empty()) {
        if (at_line_start_ && content.front() == '.') out += '.';
        const auto* newline = static_cast<const char*>(std::memchr(content.data(), '\n', content.size()));
        if (!newline) {
            out.append(content);
            at_line_start_ = false;
            return;
        }
        const auto n = static_cast<size_t>(newline - content.data());
        out.append(content.substr(0, n));
        out += "\r\n";
        content.remove_prefix(n + 1);
        at_line_start_ = true;
    }
}

void DataEncoder::finish(std::string& out) {
    if (!at_line_start_) out += "\r\n";
    out += ".\r\n";
    at_line_start_ = true;
}

}   // namespace postcot::smtp
