#include "libproto/postfix_queue/compose.h"

#include <fmt/format.h>

#include <algorithm>

namespace postcot::postfix_queue {

namespace {

constexpr size_t kLineLimit = 2048;   // line_length_limit: longer lines go into several records

// What RFC 6531 is needed for, as smtputf8 of cleanup(8) counts it.
constexpr int kUtf8Requested = 1, kUtf8Header = 2, kUtf8Sender = 4;

bool ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

}   // namespace

Composer::Composer(Message message, Kind kind) : message_(std::move(message)) {
    auto add = [this](char what, const std::string& data) { append_record(head_, what, data); };
    auto attribute = [&](const std::string& name, const std::string& value) {
        add(type::kAttribute, name + "=" + value);
    };
    const Message& m = message_;
    for (const auto& to : m.recipients) notify_ |= to.notify;
    if (kind == Kind::kQueue) head_ = sizes();
    add(type::kTime, fmt::format("{} {}", m.arrival_seconds, m.arrival_microseconds));
    if (m.create_seconds > 0) attribute("create_time", std::to_string(m.create_seconds));
    if (!m.filter.empty()) add(type::kFilter, m.filter);
    if (!m.redirect.empty()) add(type::kRedirect, m.redirect);
    if (!m.envid.empty()) attribute("envelope_id", m.envid);
    if (m.ret) attribute("ret_flags", std::to_string(m.ret));
    if (!m.full_name.empty()) add(type::kFullName, m.full_name);
    add(type::kSender, m.sender);
    if (!m.verp.empty()) add(type::kVerp, m.verp);
    for (const auto& [name, value] : m.attributes) attribute(name, value);
    if (m.warned || m.warn_seconds > 0) add(type::kWarn, fmt::format("{:15}", m.warned ? 0 : m.warn_seconds));
    for (auto& to : message_.recipients) recipient(to);
    add(type::kContent, "");
}

void Composer::recipient(Recipient& to) {
    auto attribute = [this](const std::string& text) { append_record(head_, type::kAttribute, text); };
    if (to.notify) attribute("notify_flags=" + std::to_string(to.notify));
    if (!to.orcpt.empty()) attribute("dsn_orig_rcpt=" + to.orcpt);
    if (!to.original.empty()) append_record(head_, type::kOriginal, to.original);
    to.offset = head_.size();
    append_record(head_, to.done ? type::kDone : type::kRecipient, to.address);
}

std::string Composer::text(std::string_view piece) {
    std::string out;
    while (!piece.empty()) {
        const size_t end = piece.find('\n');
        const std::string_view part = piece.substr(0, end);
        size_t taken = 0;
        while (line_.size() + (part.size() - taken) > kLineLimit) {
            const size_t more = kLineLimit - line_.size();
            line_ += part.substr(taken, more);
            taken += more;
            append_record(out, type::kLong, line_);
            line_.clear();
        }
        line_ += part.substr(taken);
        if (in_header_ && !ascii(part)) header_utf8_ = true;
        if (end == std::string_view::npos) break;
        if (line_.empty()) in_header_ = false;
        append_record(out, type::kLine, line_);
        line_.clear();
        piece.remove_prefix(end + 1);
    }
    content_size_ += out.size();
    return out;
}

std::string Composer::end(const std::vector<std::string>& more_recipients) {
    std::string out;
    if (!line_.empty()) append_record(out, type::kLong, line_);
    line_.clear();
    content_size_ += out.size();
    append_record(out, type::kExtracted, "");
    for (const auto& address : more_recipients) append_record(out, type::kRecipient, address);
    append_record(out, type::kEnd, "");
    return out;
}

std::string Composer::sizes() const {
    // Size of the content records, their offset, recipients, which NOTIFY values occur, size again, what SMTPUTF8 was asked for.
    int utf8 = 0;
    if (message_.smtputf8)
        utf8 = kUtf8Requested | (header_utf8_ ? kUtf8Header : 0) | (ascii(message_.sender) ? 0 : kUtf8Sender);
    std::string out;
    append_record(out, type::kSize,
                  fmt::format("{:15} {:15} {:15} {:15} {:15} {:15}", content_size_, head_.size(),
                              message_.recipients.size(), notify_ << 1, content_size_, utf8));
    return out;
}

}   // namespace postcot::postfix_queue
