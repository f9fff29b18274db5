#include "imapd/commands/search_key.h"

#include "libproto/imap/text.h"
#include "libproto/mime/charset.h"

namespace postcot::imapd {

namespace {

using From = imap::SearchKey::Kind;
using To = maildir::SearchKey::Kind;

To kind_of(From kind) {
    switch (kind) {
        case From::kAll: return To::kAll;
        case From::kAnd: return To::kAnd;
        case From::kOr: return To::kOr;
        case From::kSequence: return To::kSequence;
        case From::kUid: return To::kUid;
        case From::kAnswered:
        case From::kFlagged:
        case From::kDeleted:
        case From::kSeen:
        case From::kDraft: return To::kFlag;
        case From::kRecent: return To::kRecent;
        case From::kKeyword: return To::kKeyword;
        case From::kBcc: return To::kBcc;
        case From::kCc: return To::kCc;
        case From::kFrom: return To::kFrom;
        case From::kTo: return To::kTo;
        case From::kSubject: return To::kSubject;
        case From::kHeader: return To::kHeader;
        case From::kBody: return To::kBody;
        case From::kText: return To::kText;
        case From::kBefore: return To::kBefore;
        case From::kOn: return To::kOn;
        case From::kSince: return To::kSince;
        case From::kSentBefore: return To::kSentBefore;
        case From::kSentOn: return To::kSentOn;
        case From::kSentSince: return To::kSentSince;
        case From::kSavedBefore: return To::kSavedBefore;
        case From::kSavedOn: return To::kSavedOn;
        case From::kSavedSince: return To::kSavedSince;
        case From::kLarger: return To::kLarger;
        case From::kSmaller: return To::kSmaller;
        case From::kOlder: return To::kOlder;
        case From::kYounger: return To::kYounger;
        case From::kModSeq: return To::kModSeq;
    }
    return To::kAll;
}

maildir::SystemFlag flag_of(From kind) {
    switch (kind) {
        case From::kAnswered: return maildir::kAnswered;
        case From::kFlagged: return maildir::kFlagged;
        case From::kDeleted: return maildir::kDeleted;
        case From::kDraft: return maildir::kDraft;
        default: return maildir::kSeen;
    }
}

}   // namespace

bool charset_known(const std::string& charset) {
    return charset.empty() || charset == "UTF-8" || charset == "US-ASCII" || mime::known_charset(charset);
}

maildir::SearchKey to_store(const imap::SearchKey& key, maildir::Mailbox& mailbox, const std::string& charset,
                            const std::vector<uint32_t>& saved_uids) {
    maildir::SearchKey out;
    out.kind = kind_of(key.kind);
    out.negate = key.negate;
    out.flag = flag_of(key.kind);
    out.number = key.number;
    out.day = key.date.days();
    auto text = [&](const std::string& raw) {
        auto converted = mime::to_utf8(raw, charset.empty() ? "UTF-8" : charset);
        return converted ? std::move(*converted) : raw;
    };
    out.header = key.header;
    if (!key.text.empty()) out.text = key.kind == From::kKeyword ? key.text : text(key.text);
    if (key.kind == From::kKeyword && key.text.starts_with('\\')) out.text = key.text;
    if (key.kind == From::kSequence || key.kind == From::kUid) {
        uint32_t exists = mailbox.exists();
        if (key.set.saved) {   // RFC 5182 §2.1
            out.kind = To::kUid;
            for (uint32_t uid : saved_uids) out.numbers.push_back({uid, uid});
        } else {
            uint32_t largest = out.kind == To::kSequence ? exists
                               : exists                  ? mailbox.uid_of(maildir::SeqNum{exists}).value
                                                         : 0;
            for (const auto& range : key.set.resolve(largest)) out.numbers.push_back({range.first, range.last});
        }
    }
    for (const auto& child : key.children) out.children.push_back(to_store(child, mailbox, charset, saved_uids));
    return out;
}

}   // namespace postcot::imapd
