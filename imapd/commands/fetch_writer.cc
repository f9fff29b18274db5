#include "imapd/commands/fetch_writer.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "imapd/flags.h"
#include "libproto/imap/response.h"

namespace postcot::imapd {

namespace {

using Kind = imap::FetchItem::Kind;
constexpr size_t kSeenBatch = 64;   // messages whose \Seen is set in one go, just before they are sent

bool is_section(const imap::FetchItem& item) {
    return item.kind == Kind::kSection || item.kind == Kind::kRfc822 || item.kind == Kind::kRfc822Header ||
           item.kind == Kind::kRfc822Text;
}

bool is_header(const imap::FetchItem& item) {
    using Section = mime::Section::Kind;
    return item.section.kind != Section::kAll && item.section.kind != Section::kText;
}

Expected<bool> has_nul(maildir::Content& content, uint64_t offset, uint64_t length) {
    std::string piece(64 * 1024, '\0');
    while (length > 0) {
        auto got = content.read(piece.data(), static_cast<size_t>(std::min<uint64_t>(piece.size(), length)), offset);
        if (!got) return fail(got.error());
        if (*got == 0) return false;
        if (std::memchr(piece.data(), '\0', *got)) return true;
        offset += *got;
        length -= *got;
    }
    return false;
}

}   // namespace

FetchWriter::FetchWriter(const imap::Fetch& fetch, std::vector<maildir::SeqNum> messages, bool read_only,
                         bool condstore, Counters& counters, OpenSection& kept)
    : messages_(std::move(messages)),
      changed_since_(fetch.changed_since),
      condstore_(condstore),
      counters_(counters),
      kept_(kept) {
    auto has = [&](Kind kind) {
        return std::any_of(items_.begin(), items_.end(),
                           [&](const imap::FetchItem& item) { return item.kind == kind; });
    };
    auto add = [&](Kind kind, std::string_view label) {
        imap::FetchItem item;
        item.kind = kind;
        item.label = label;
        items_.push_back(std::move(item));
    };
    if (fetch.uid) add(Kind::kUid, "UID");   // RFC 3501 §6.4.8
    for (const imap::FetchItem& item : fetch.items) {
        if (!is_section(item) && item.kind != Kind::kBinarySize && has(item.kind)) continue;
        items_.push_back(item);
        sets_seen_ = sets_seen_ || (is_section(item) && !item.peek && !read_only);
    }
    if (fetch.changed_since && !has(Kind::kModSeq)) add(Kind::kModSeq, "MODSEQ");   // RFC 7162 §3.1.4.1
    flags_asked_ = has(Kind::kFlags);
}

Expected<bool> FetchWriter::fill(maildir::Mailbox& mailbox, std::string& out, size_t target) {
    if (changed_since_) {
        auto old = [&](maildir::SeqNum seq) { return mailbox.at(seq).modseq().value <= *changed_since_; };
        messages_.erase(std::remove_if(messages_.begin(), messages_.end(), old), messages_.end());
        changed_since_.reset();
    }
    in_out_ = false;
    while (out.size() < target) {
        if (content_) {
            auto pumped = pump_content(out, target);
            if (!pumped) return fail(pumped.error());
            if (!content_) ++item_;
            continue;
        }
        if (!in_message_) {
            if (next_ == messages_.size()) return true;
            begin_message(mailbox, out);
        }
        if (item_ == items_.size()) {
            end_message(out);
            continue;
        }
        const imap::FetchItem& item = items_[item_];
        if (!first_item_) out += ' ';
        first_item_ = false;
        auto written = write_item(mailbox, item, out);
        if (!written) {
            bool encoding = written.error().enhanced == "UNKNOWN-CTE";
            (encoding ? unknown_encoding_ : gone_) = true;
            if (in_out_) {   // nothing of it is out yet: leave the message out
                out.resize(message_start_);
                in_message_ = false;
                ++next_;
                continue;
            }
            out += item.label + " NIL";
        }
        if (!content_) ++item_;
    }
    return false;
}

void FetchWriter::begin_message(maildir::Mailbox& mailbox, std::string& out) {
    if (sets_seen_ && next_ >= marked_until_) mark_seen(mailbox);
    in_message_ = in_out_ = true;
    message_start_ = out.size();
    item_ = 0;
    first_item_ = true;
    out += "* ";
    maildir::SeqNum seq = messages_[next_];
    imap::append_number(out, seq.value);
    out += " FETCH (";
    if (!flags_asked_ && std::binary_search(newly_seen_.begin(), newly_seen_.end(), seq)) {
        maildir::Message message = mailbox.at(seq);
        first_item_ = false;
        out += "FLAGS ";
        append_flags(out, message.flags(), message.recent(), mailbox.keywords());
        if (condstore_) {
            out += " MODSEQ (";
            imap::append_number(out, message.modseq().value);
            out += ')';
        }
    }
}

void FetchWriter::end_message(std::string& out) {
    out += ")\r\n";
    in_message_ = false;
    ++next_;
}

// RFC 3501 §6.4.5: fetching a body without PEEK sets \Seen, and the response says so.
void FetchWriter::mark_seen(maildir::Mailbox& mailbox) {
    marked_until_ = std::min(messages_.size(), next_ + kSeenBatch);
    std::vector<maildir::SeqNum> unseen;
    for (size_t i = next_; i < marked_until_; ++i) {
        if (!mailbox.at(messages_[i]).flags().has(maildir::kSeen)) unseen.push_back(messages_[i]);
    }
    newly_seen_.clear();
    if (unseen.empty()) return;
    maildir::StoreChange change;
    change.system = maildir::kSeen;
    auto stored = mailbox.store(unseen, change);
    if (!stored) return;   // a full disk does not keep anyone from reading
    newly_seen_ = std::move(stored->changed);
    std::sort(newly_seen_.begin(), newly_seen_.end());
    set_seen_ = set_seen_ || !newly_seen_.empty();
}

Expected<void> FetchWriter::write_item(maildir::Mailbox& mailbox, const imap::FetchItem& item, std::string& out) {
    maildir::Message message = mailbox.at(messages_[next_]);
    auto cached = [&](std::string_view label, Expected<std::string_view> text) -> Expected<void> {
        if (!text) return fail(text.error());
        out += label;
        out += *text;
        return {};
    };
    switch (item.kind) {
        case Kind::kUid:
            out += "UID ";
            imap::append_number(out, message.uid().value);
            return {};
        case Kind::kFlags:
            out += "FLAGS ";
            append_flags(out, message.flags(), message.recent(), mailbox.keywords());
            return {};
        case Kind::kInternalDate: append_date(out, "INTERNALDATE", message.internal_date()); return {};
        case Kind::kRfc822Size: {
            auto size = message.size();
            if (!size) return fail(size.error());
            out += "RFC822.SIZE ";
            imap::append_number(out, *size);
            return {};
        }
        case Kind::kModSeq:
            out += "MODSEQ (";
            imap::append_number(out, message.modseq().value);
            out += ')';
            return {};
        case Kind::kSaveDate: {
            auto date = message.save_date();
            if (!date) return fail(date.error());
            append_date(out, "SAVEDATE", *date);
            return {};
        }
        case Kind::kPreview: {
            auto preview = message.preview();
            if (!preview) return fail(preview.error());
            out += "PREVIEW ";
            imap::append_string(out, *preview);
            return {};
        }
        case Kind::kBinarySize: {
            auto content = message.open(item.section);
            if (!content) return fail(content.error());
            out += item.label + ' ';
            imap::append_number(out, *content ? (*content)->size() : 0);
            return {};
        }
        case Kind::kEnvelope: return cached("ENVELOPE ", message.envelope());
        case Kind::kBodyStructure: return cached("BODYSTRUCTURE ", message.bodystructure());
        case Kind::kBody: return cached("BODY ", message.body());
        case Kind::kSection:
        case Kind::kRfc822:
        case Kind::kRfc822Header:
        case Kind::kRfc822Text: return open_section(mailbox, item, out);
    }
    return {};
}

Expected<void> FetchWriter::open_section(maildir::Mailbox& mailbox, const imap::FetchItem& item, std::string& out) {
    maildir::Message message = mailbox.at(messages_[next_]);
    content_uid_ = message.uid();
    bool again = item.partial && kept_.content && kept_.uid == content_uid_ && kept_.section == item.section;
    auto content =
        again ? Expected<std::unique_ptr<maildir::Content>>(std::move(kept_.content)) : message.open(item.section);
    if (!content) return fail(content.error());
    if (!*content) {
        out += item.label + " {0}\r\n";   // as Dovecot: an empty string
        return {};
    }
    uint64_t size = (*content)->size();
    uint64_t offset = item.partial ? std::min(item.partial->offset, size) : 0;
    uint64_t length = item.partial ? std::min(item.partial->length, size - offset) : size;
    content_binary_ = item.section.decoded;
    auto nul = content_binary_ ? has_nul(**content, offset, length) : Expected<bool>(false);
    if (!nul) return fail(nul.error());
    if (is_header(item)) {
        ++counters_.header_count;
        counters_.header_bytes += length;
    } else {
        ++counters_.body_count;
        counters_.body_bytes += length;
    }
    out += item.label;
    out += *nul ? " ~{" : " {";   // RFC 3516 §4.2: literal8 is for what has NULs
    imap::append_number(out, length);
    out += "}\r\n";
    content_offset_ = offset;
    content_left_ = length;
    content_ = std::move(*content);
    if (length == 0) close_content();
    return {};
}

// Decoded content is in memory as a whole: that is not kept.
void FetchWriter::close_content() {
    const imap::FetchItem& item = items_[item_];
    if (item.partial && !item.section.decoded) kept_ = {content_uid_, item.section, std::move(content_)};
    content_.reset();
}

Expected<void> FetchWriter::pump_content(std::string& out, size_t target) {
    while (content_left_ > 0 && out.size() < target) {
        size_t want =
            static_cast<size_t>(std::min<uint64_t>(content_left_, std::max<size_t>(target - out.size(), 16 * 1024)));
        size_t start = out.size();
        out.resize(start + want);
        auto got = content_->read(out.data() + start, want, content_offset_);
        if (!got || *got == 0) {
            out.resize(start);
            return fail(got ? EIO : got.error().code,
                        got ? std::string("message ended before its size") : got.error().text);
        }
        out.resize(start + *got);
        // RFC 3501 §9: a literal has no NUL. As Dovecot does; BINARY shows what is there.
        if (!content_binary_) std::replace(out.begin() + static_cast<ptrdiff_t>(start), out.end(), '\0', '\x80');
        content_offset_ += *got;
        content_left_ -= *got;
    }
    if (content_left_ == 0) close_content();
    return {};
}

// In this host's zone, as Dovecot does.
void FetchWriter::append_date(std::string& out, std::string_view label, maildir::DateTime date) {
    int64_t block = date.seconds / 900;   // zones change on quarters of an hour
    if (block != zone_block_) {
        zone_block_ = block;
        auto seconds = static_cast<time_t>(date.seconds);
        struct tm local {};
        localtime_r(&seconds, &local);
        zone_minutes_ = static_cast<int>(local.tm_gmtoff / 60);
    }
    out += label;
    out += " \"";
    out += imap::format_date_time({date.seconds, zone_minutes_});
    out += '"';
}

}   // namespace postcot::imapd
