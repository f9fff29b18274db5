#include "libmaildir/message_cache.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "libproto/mime/bodystructure.h"
#include "libproto/mime/date.h"
#include "libproto/mime/envelope.h"

namespace postcot::maildir {

namespace {

constexpr size_t kMaxHead = 64 << 10;

// What ENVELOPE, SORT, THREAD and SEARCH need, and what Thunderbird, Roundcube, mutt and K-9 ask for when they list a folder. Lower case, sorted.
constexpr std::array<std::string_view, 42> kFields{"bcc",
                                                   "cc",
                                                   "content-language",
                                                   "content-transfer-encoding",
                                                   "content-type",
                                                   "date",
                                                   "delivered-to",
                                                   "disposition-notification-to",
                                                   "followup-to",
                                                   "from",
                                                   "importance",
                                                   "in-reply-to",
                                                   "list-id",
                                                   "list-post",
                                                   "list-unsubscribe",
                                                   "mail-followup-to",
                                                   "mail-reply-to",
                                                   "message-id",
                                                   "mime-version",
                                                   "newsgroups",
                                                   "priority",
                                                   "references",
                                                   "reply-to",
                                                   "resent-cc",
                                                   "resent-date",
                                                   "resent-from",
                                                   "resent-to",
                                                   "return-path",
                                                   "return-receipt-to",
                                                   "sender",
                                                   "subject",
                                                   "to",
                                                   "user-agent",
                                                   "x-draft-info",
                                                   "x-identity-key",
                                                   "x-label",
                                                   "x-mailer",
                                                   "x-msmail-priority",
                                                   "x-priority",
                                                   "x-spam-flag",
                                                   "x-spam-level",
                                                   "x-spam-status"};

}   // namespace

bool field_is_cached(std::string_view name) {
    char lower[32];
    if (name.size() > sizeof lower) return false;
    for (size_t i = 0; i < name.size(); ++i)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] + 32) : name[i];
    return std::binary_search(kFields.begin(), kFields.end(), std::string_view(lower, name.size()));
}

Cached cache_of(std::string_view message) {
    mime::Part root = mime::parse_message(message);
    std::string_view header = message.substr(0, root.body);
    std::vector<mime::Field> fields = mime::parse_fields(header);
    Cached out;
    HeadStart start;
    if (const mime::Field* date = mime::find_field(fields, "Date")) {
        if (auto parsed = mime::parse_date(date->value)) {
            start.has_date = 1;
            start.sent = parsed->seconds;
            start.zone_minutes = static_cast<int16_t>(parsed->zone_minutes);
        }
    }
    start.complete = 1;
    out.head.append(reinterpret_cast<const char*>(&start), sizeof start);
    for (const mime::Field& field : fields) {
        if (!field_is_cached(field.name)) continue;
        if (out.head.size() + field.end - field.begin > kMaxHead) {
            start.complete = 0;
            std::memcpy(out.head.data(), &start, sizeof start);
            break;
        }
        out.head += header.substr(field.begin, field.end - field.begin);
    }
    std::string envelope;
    mime::append_imap(envelope, mime::envelope_of(fields));
    auto length = static_cast<uint32_t>(envelope.size());
    out.wire.append(reinterpret_cast<const char*>(&length), sizeof length);
    out.wire += envelope;
    mime::append_bodystructure(out.wire, message, root, true);
    return out;
}

HeadStart head_start(std::string_view head) {
    HeadStart start;
    if (head.size() >= sizeof start) std::memcpy(&start, head.data(), sizeof start);
    return start;
}

std::string_view head_fields(std::string_view head) {
    return head.size() >= sizeof(HeadStart) ? head.substr(sizeof(HeadStart)) : std::string_view();
}

std::string_view wire_envelope(std::string_view wire) {
    uint32_t length = 0;
    if (wire.size() < sizeof length) return {};
    std::memcpy(&length, wire.data(), sizeof length);
    return wire.substr(sizeof length, length);
}

std::string_view wire_bodystructure(std::string_view wire) {
    uint32_t length = 0;
    if (wire.size() < sizeof length) return {};
    std::memcpy(&length, wire.data(), sizeof length);
    return wire.size() < sizeof length + length ? std::string_view() : wire.substr(sizeof length + length);
}

}   // namespace postcot::maildir
