#include "libproto/postfix_queue/message.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace postcot::postfix_queue {

namespace {

// Leading blanks, then digits; what follows does not matter (fields of fixed width, pairs of numbers).
bool number(std::string_view& text, int64_t& out) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
    if (parsed.ec != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
    return true;
}

int64_t whole_number(std::string_view text, int64_t otherwise) {
    int64_t out = 0;
    return number(text, out) && text.empty() ? out : otherwise;
}

class Reader {
  public:
    Reader(Source& source, const std::function<Expected<void>(std::string_view)>& content, const Limits& limits)
        : records_(source), content_(content), limits_(limits) {}

    Expected<Message> run() {
        bool extracted = false;
        for (;;) {
            if (auto read = records_.next(record_); !read) return fail(read.error());
            if (record_.type == type::kEnd) {
                if (!extracted) return damaged("end record in the envelope");
                break;
            }
            if (record_.type == type::kContent) {
                if (extracted) return damaged("second content");
                if (auto read = text(); !read) return fail(read.error());
                extracted = true;
                forget_recipient_facts();
                continue;
            }
            if (auto read = envelope(); !read) return fail(read.error());
        }
        if (!has_time_) return damaged("no time record");
        if (!has_sender_) return damaged("no sender record");
        return std::move(message_);
    }

  private:
    tl::unexpected<Error> damaged(const std::string& what) const {
        return fail(EPROTO, what + " at " + std::to_string(record_.offset));
    }

    Expected<void> text() {
        for (;;) {
            if (auto read = records_.next(record_); !read) return read;
            if (record_.type == type::kExtracted) return {};
            if (record_.type != type::kLine && record_.type != type::kLong)
                return damaged("unexpected record in the content");
            if (record_.type == type::kLine) record_.data += '\n';
            if (auto taken = content_(record_.data); !taken) return taken;
        }
    }

    Expected<void> envelope() {
        using namespace std::string_view_literals;
        if (record_.data.find_first_of("\0\r\n"sv) != std::string::npos)
            return damaged("control character in the envelope");
        switch (record_.type) {
            case type::kSize: {
                // Content size, its offset, recipients, flags of qmgr(8), content length; since 3.0 what SMTPUTF8 was asked for.
                std::string_view text = record_.data;
                int64_t field = 0;
                for (int i = 0; i < 6 && number(text, field); ++i) {
                    if (i == 5) message_.smtputf8 = field != 0;   // asked for, or found in the header or the sender
                }
                return {};
            }
            case type::kTime: {
                std::string_view text = record_.data;
                int64_t micro = 0;
                if (has_time_) return {};   // the first counts
                if (!number(text, message_.arrival_seconds)) return damaged("malformed time record");
                if (number(text, micro) && micro >= 0 && micro < 1000000)
                    message_.arrival_microseconds = static_cast<uint32_t>(micro);
                has_time_ = true;
                return {};
            }
            case type::kSender:
                if (has_sender_) return damaged("second sender record");
                has_sender_ = true;
                message_.sender = record_.data;
                return {};
            case type::kFullName: message_.full_name = record_.data; return {};
            case type::kFilter: message_.filter = record_.data; return {};
            case type::kRedirect: message_.redirect = record_.data; return {};
            case type::kVerp: message_.verp = record_.data; return {};
            case type::kWarn:
                message_.warn_seconds = whole_number(record_.data, -1);
                if (message_.warn_seconds < 0) return damaged("malformed warning time");
                message_.warned = message_.warn_seconds == 0;
                return {};
            case type::kRecipient:
            case type::kDone:
            case type::kCanceled: return recipient();
            case type::kOriginal: original_ = record_.data; return {};
            case type::kDsnOrcpt: orcpt_ = record_.data; return {};
            case type::kDsnNotify: return notify(record_.data);
            case type::kDsnRet: return ret(record_.data);
            case type::kDsnEnvid: message_.envid = record_.data; return {};
            case type::kAttribute: return attribute();
            // Killed records, inspector, priority, create time, headers' return receipts and errors-to: nothing is made of them.
            case 'K':
            case 'I':
            case 'P':
            case 'c':
            case 'r':
            case 'e':
            case 'f':
            case 'd':
            case 'm': return {};
            default: return damaged("unexpected record in the envelope");
        }
    }

    Expected<void> recipient() {
        if (record_.type != type::kCanceled) {
            if (message_.recipients.size() >= limits_.recipients) return damaged("too many recipients");
            Recipient out;
            out.address = std::move(record_.data);
            out.original = std::move(original_);
            out.orcpt = std::move(orcpt_);
            out.notify = notify_;
            out.done = record_.type == type::kDone;
            out.offset = record_.offset;
            message_.recipients.push_back(std::move(out));
        }
        forget_recipient_facts();
        return {};
    }

    void forget_recipient_facts() {
        original_.clear();
        orcpt_.clear();
        notify_ = 0;
    }

    // RFC 3461 §4.1: NEVER stands alone.
    Expected<void> notify(std::string_view text) {
        const int64_t value = whole_number(text, -1);
        if (value < 0 || value > 15 || (value > 1 && (value & 1))) return damaged("malformed DSN notify record");
        notify_ = static_cast<uint8_t>(value);
        return {};
    }

    Expected<void> ret(std::string_view text) {
        const int64_t value = whole_number(text, -1);
        if (value < 0 || value > 2) return damaged("malformed DSN return record");
        message_.ret = static_cast<uint8_t>(value);
        return {};
    }

    Expected<void> attribute() {
        const size_t equals = record_.data.find('=');
        if (equals == std::string::npos || equals == 0) return damaged("malformed attribute");
        std::string name = record_.data.substr(0, equals);
        std::string value = record_.data.substr(equals + 1);
        if (name == "dsn_orig_rcpt") {
            orcpt_ = std::move(value);
        } else if (name == "notify_flags") {
            return notify(value);
        } else if (name == "ret_flags") {
            return ret(value);
        } else if (name == "envelope_id") {
            message_.envid = std::move(value);
        } else if (name == "create_time") {
            message_.create_seconds = whole_number(value, 0);
        } else if (message_.attributes.size() >= limits_.attributes && !message_.attributes.count(name)) {
            return damaged("too many attributes");
        } else {
            message_.attributes[std::move(name)] = std::move(value);
        }
        return {};
    }

    RecordReader records_;
    const std::function<Expected<void>(std::string_view)>& content_;
    const Limits& limits_;
    Record record_;
    Message message_;
    bool has_time_ = false, has_sender_ = false;
    std::string original_, orcpt_;
    uint8_t notify_ = 0;
};

}   // namespace

const std::string& Message::attribute(const std::string& name) const {
    static const std::string none;
    auto found = attributes.find(name);
    return found == attributes.end() ? none : found->second;
}

unsigned Message::trace_flags() const { return static_cast<unsigned>(whole_number(attribute("trace_flags"), 0)); }

Expected<Message> read_message(Source& source, const std::function<Expected<void>(std::string_view)>& content,
                               const Limits& limits) {
    return Reader(source, content, limits).run();
}

bool looks_like_message(std::string_view start) {
    // cleanup(8) begins with the sizes, postdrop(1) with the time.
    return start.size() >= 2 &&
           ((start[0] == type::kSize && start[1] >= 0x2F) || (start[0] == type::kTime && start[1] > 0));
}

}   // namespace postcot::postfix_queue
