#include "libproto/smtp/header_cleanup.h"

#include <algorithm>
#include <cstring>

#include "libproto/smtp/address_list.h"
#include "libproto/smtp/header_address.h"
#include "libproto/smtp/text.h"

namespace postcot::smtp {
namespace {

constexpr std::string_view kSenderHeaders[] = {"from",
                                               "sender",
                                               "reply-to",
                                               "errors-to",
                                               "resent-from",
                                               "resent-sender",
                                               "resent-reply-to",
                                               "return-receipt-to",
                                               "disposition-notification-to"};
constexpr std::string_view kRecipientHeaders[] = {"to",        "cc",         "bcc",          "resent-to",
                                                  "resent-cc", "resent-bcc", "apparently-to"};
constexpr std::string_view kRemembered[] = {
    "from",        "date",        "message-id",        "to",        "cc",        "bcc",
    "resent-from", "resent-date", "resent-message-id", "resent-to", "resent-cc", "resent-bcc"};

template <size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// Where a colon must have come for a line to be a header: what has none by then is body, however it arrives.
constexpr size_t kMaxNameScan = 256;

// Length of "Name" in "Name: value"; npos when the line is no header field. RFC 5322 §2.2; blanks before the colon are
// obsolete syntax.
size_t header_name_length(std::string_view line) {
    line = line.substr(0, kMaxNameScan);
    size_t i = 0;
    while (i < line.size() && line[i] > ' ' && line[i] < 127 && line[i] != ':') ++i;
    if (i == 0) return std::string_view::npos;
    size_t colon = i;
    while (colon < line.size() && is_space(line[colon])) ++colon;
    return colon < line.size() && line[colon] == ':' ? i : std::string_view::npos;
}

std::string unfold(std::string_view value, size_t limit) {
    std::string out;
    for (char c : value) {
        if (c == '\n' || c == '\r') continue;
        out += c;
        if (out.size() > limit) break;
    }
    return std::string(trim(out));
}

}   // namespace

HeaderCleanup::HeaderCleanup(HeaderOptions options) : options_(std::move(options)) {
    for (auto& name : options_.drop) name = lower(name);
}

bool HeaderCleanup::seen(const char* name) const { return std::find(seen_.begin(), seen_.end(), name) != seen_.end(); }

HeaderCleanup::LineKind HeaderCleanup::classify(std::string_view line) const {
    if (line == "\n") return LineKind::kBlank;
    if (is_space(line[0]) && !first_line_) return LineKind::kContinuation;
    // smtpd(8): an mbox separator at the top is kept, as something harmless.
    if (first_line_ && line.substr(std::min(line.find_first_not_of('>'), line.size())).substr(0, 5) == "From ") {
        return LineKind::kMailbox;
    }
    return header_name_length(line) == std::string_view::npos ? LineKind::kBody : LineKind::kHeader;
}

void HeaderCleanup::feed(std::string_view content, std::string& out) {
    while (!content.empty() && !in_body_) {
        const auto* newline = static_cast<const char*>(std::memchr(content.data(), '\n', content.size()));
        const size_t length = newline ? static_cast<size_t>(newline - content.data()) + 1 : content.size();
        auto line = content.substr(0, length);
        content.remove_prefix(length);
        if (newline && partial_.empty()) {
            take_line(line, out);
            continue;
        }
        partial_.append(line);
        if (newline) {
            const auto whole = std::move(partial_);
            partial_.clear();
            take_line(whole, out);
            continue;
        }
        // A long line that has not ended: a header's is kept cut, as the header will be; a body's goes on at once.
        const size_t enough = std::max(options_.header_size_limit, kMaxNameScan);
        if (partial_.size() <= enough) return;
        if (classify(partial_) == LineKind::kBody) {
            end_header(out);
            out += '\n';
            out += partial_;
            partial_.clear();
        } else {
            partial_.resize(enough);
        }
    }
    if (in_body_) out.append(content);
}

void HeaderCleanup::take_line(std::string_view line, std::string& out) {
    const auto kind = classify(line);
    first_line_ = false;
    switch (kind) {
        case LineKind::kBlank:
            end_header(out);
            out += '\n';
            return;
        case LineKind::kContinuation:
            // After a dropped or cut header it goes the same way.
            if (!pending_.empty() && pending_.size() + line.size() <= options_.header_size_limit) pending_.append(line);
            return;
        case LineKind::kBody:   // the body begins without an empty line: give it one
            end_header(out);
            out += '\n';
            out.append(line);
            return;
        case LineKind::kMailbox: pending_ = "X-Mailbox-Line: "; break;
        case LineKind::kHeader: flush_pending(out); break;
    }
    pending_.append(line.substr(0, options_.header_size_limit));
    if (pending_.back() != '\n') pending_ += '\n';
}

void HeaderCleanup::flush_pending(std::string& out) {
    if (pending_.empty()) return;
    const std::string header = std::move(pending_);
    pending_.clear();
    const size_t name_length = header_name_length(header);
    const auto name = lower(std::string_view(header).substr(0, name_length));
    const size_t colon = header.find(':', name_length);
    const auto value = std::string_view(header).substr(colon + 1);

    if (among(kRemembered, name) && !seen(name.c_str())) seen_.push_back(name);
    if (name == "received") {
        ++facts_.hops;
    } else if (name == "message-id" || name == "resent-message-id") {
        if (name.size() > 10 || facts_.message_id.empty()) facts_.message_id = unfold(value, 1000);
    } else if (name == "subject") {
        facts_.subject = unfold(value, 1000);
    } else if (name == "from") {
        facts_.from = unfold(value, 1000);
    }

    const bool is_recipient = among(kRecipientHeaders, name);
    if (options_.extract_recipients && is_recipient) {
        auto& list = name.rfind("resent-", 0) == 0 ? facts_.resent_recipients : facts_.recipients;
        for (auto& [address, offset, length] : read_address_list(value)) {
            if (list.size() < kMaxListed) list.push_back(std::move(address));
        }
    }
    if (std::find(options_.drop.begin(), options_.drop.end(), name) != options_.drop.end()) return;
    const bool is_sender = among(kSenderHeaders, name);
    if (options_.rewrite && (is_sender || is_recipient)) {
        const auto header_class = is_sender ? HeaderClass::kSender : HeaderClass::kRecipient;
        out.append(header, 0, colon + 1);
        out +=
            rewrite_addresses(value, [&](std::string_view address) { return options_.rewrite(address, header_class); });
        return;
    }
    out += header;
}

void HeaderCleanup::add_missing(std::string& out) {
    const bool resent =
        std::any_of(seen_.begin(), seen_.end(), [](const auto& n) { return n.rfind("resent-", 0) == 0; });
    const std::string prefix = resent ? "Resent-" : "";
    auto missing = [&](const char* name) { return !seen(((resent ? "resent-" : "") + std::string(name)).c_str()); };
    if (options_.add_missing) {
        if (missing("message-id") && !options_.message_id.empty()) {
            out += prefix + "Message-Id: " + options_.message_id + '\n';
            facts_.message_id = options_.message_id;
        }
        if (missing("date") && !options_.date.empty()) out += prefix + "Date: " + options_.date + '\n';
        if (missing("from") && !options_.from.empty()) {
            out += prefix + "From: " + options_.from + '\n';
            if (facts_.from.empty()) facts_.from = options_.from;
        }
    }
    const bool visible = seen("to") || seen("cc") || seen("resent-to") || seen("resent-cc");
    if (!visible && !options_.undisclosed_recipients.empty()) out += options_.undisclosed_recipients + '\n';
}

void HeaderCleanup::end_header(std::string& out) {
    flush_pending(out);
    add_missing(out);
    in_body_ = true;
}

void HeaderCleanup::finish(std::string& out) {
    if (in_body_) return;
    if (!partial_.empty()) {
        auto line = std::move(partial_) + '\n';
        partial_.clear();
        take_line(line, out);
    }
    if (!in_body_) {
        end_header(out);
        out += '\n';
    }
}

}   // namespace postcot::smtp
