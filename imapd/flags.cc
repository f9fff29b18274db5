#include "imapd/flags.h"

#include "libproto/imap/response.h"

namespace postcot::imapd {

namespace {
constexpr std::pair<uint8_t, std::string_view> kNames[] = {
    {maildir::kAnswered, "\\Answered"}, {maildir::kFlagged, "\\Flagged"}, {maildir::kDeleted, "\\Deleted"},
    {maildir::kSeen, "\\Seen"},         {maildir::kDraft, "\\Draft"},
};
}   // namespace

void append_flags(std::string& out, maildir::FlagSet flags, bool recent, const std::vector<std::string>& keywords) {
    out += '(';
    size_t start = out.size();
    auto add = [&](std::string_view name) {
        if (out.size() > start) out += ' ';
        out += name;
    };
    for (const auto& [bit, name] : kNames) {
        if (flags.system & bit) add(name);
    }
    if (recent) add("\\Recent");
    for (uint32_t bits = flags.keywords; bits != 0; bits &= bits - 1) {
        auto index = static_cast<size_t>(__builtin_ctz(bits));
        if (index < keywords.size() && !keywords[index].empty()) add(keywords[index]);
    }
    out += ')';
}

uint8_t system_flags(const imap::FlagList& list) {
    unsigned out = 0;
    if (list.answered) out |= maildir::kAnswered;
    if (list.flagged) out |= maildir::kFlagged;
    if (list.deleted) out |= maildir::kDeleted;
    if (list.seen) out |= maildir::kSeen;
    if (list.draft) out |= maildir::kDraft;
    return static_cast<uint8_t>(out);
}

void append_flag_lines(std::string& out, const maildir::Mailbox& mailbox, bool read_only) {
    std::string flags = "(\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    for (const std::string& keyword : mailbox.keywords()) {
        if (!keyword.empty()) flags += ' ' + keyword;
    }
    out += "* FLAGS " + flags + ")\r\n";
    if (read_only) {
        out += "* OK [PERMANENTFLAGS ()] Read-only mailbox.\r\n";
        return;
    }
    out += "* OK [PERMANENTFLAGS " + flags + (mailbox.can_create_keywords() ? " \\*" : "") + ")] Flags permitted.\r\n";
}

void append_flags_fetch(std::string& out, maildir::Mailbox& mailbox, maildir::SeqNum seq, bool uid, bool modseq) {
    maildir::Message message = mailbox.at(seq);
    out += "* ";
    imap::append_number(out, seq.value);
    out += " FETCH (";
    if (uid) {
        out += "UID ";
        imap::append_number(out, message.uid().value);
        out += ' ';
    }
    if (modseq) {
        out += "MODSEQ (";
        imap::append_number(out, message.modseq().value);
        out += ") ";
    }
    out += "FLAGS ";
    append_flags(out, message.flags(), message.recent(), mailbox.keywords());
    out += ")\r\n";
}

std::string overlong_keyword(const imap::FlagList& list, size_t max) {
    for (const std::string& keyword : list.keywords) {
        if (keyword.size() > max) return keyword;
    }
    return {};
}

}   // namespace postcot::imapd
