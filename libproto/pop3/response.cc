#include "libproto/pop3/response.h"

namespace postcot::pop3 {

std::string ok(std::string_view text) {
    std::string out = "+OK";
    if (!text.empty()) out += ' ';
    out += text;
    return out + "\r\n";
}

std::string err(std::string_view text, std::string_view code) {
    std::string out = "-ERR ";
    if (!code.empty()) {
        out += '[';
        out += code;
        out += "] ";
    }
    out += text;
    return out + "\r\n";
}

bool DotStuffer::feed(std::string_view data, std::string& out) {
    while (!data.empty() && !done_) {
        if (line_start_ && data[0] == '.') out += '.';
        size_t lf = data.find('\n');
        std::string_view run = data.substr(0, lf == std::string_view::npos ? lf : lf + 1);
        data.remove_prefix(run.size());
        out += run;
        bool ended = run.back() == '\n';
        std::string_view content = run;
        if (ended) content.remove_suffix(1);
        if (content.ends_with('\r')) content.remove_suffix(1);
        line_empty_ = (line_start_ || line_empty_) && content.empty();
        after_cr_ = run.back() == '\r';
        line_start_ = ended;
        if (!ended) continue;
        if (in_header_) {
            if (line_empty_) in_header_ = false;
        } else if (lines_left_ != UINT64_MAX && lines_left_ > 0) {
            --lines_left_;
        }
        line_empty_ = true;
        if (!in_header_ && lines_left_ == 0) done_ = true;
    }
    return !done_;
}

void DotStuffer::finish(std::string& out) {
    if (!line_start_) {
        out += after_cr_ ? "\n" : "\r\n";
        line_start_ = true;
    }
    if (in_header_ && end_header_) {
        out += "\r\n";
    }
    out += ".\r\n";
}

}   // namespace postcot::pop3
