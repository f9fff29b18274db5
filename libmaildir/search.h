// What SEARCH, SORT and THREAD ask of a mailbox. The IMAP grammar (libproto/imap) is turned into these by imapd.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libmaildir/types.h"

namespace postcot::maildir {

// One node of the criteria (RFC 3501 §6.4.4, RFC 5032 OLDER/YOUNGER, RFC 7162 MODSEQ, RFC 8514 SAVEDATE). Text is UTF-8
// (the CHARSET already converted) and matches as i;unicode-casemap, substring.
struct SearchKey {
    enum class Kind {
        kAll,
        kAnd,        // children: all
        kOr,         // children: any
        kSequence,   // numbers: sequence numbers
        kUid,        // numbers
        kFlag,       // flag set (negate for UNSEEN ...)
        kKeyword,    // text: keyword name
        kRecent,     // NEW is And(kRecent, not kSeen); OLD is not kRecent
        kBcc,
        kCc,
        kFrom,
        kTo,
        kSubject,   // text
        kHeader,    // header, text ("" matches when the field exists)
        kBody,      // text
        kText,      // text: header or body
        kBefore,
        kOn,
        kSince,   // date: internal date, day in `day`
        kSentBefore,
        kSentOn,
        kSentSince,   // the Date: field, its own zone disregarded
        kSavedBefore,
        kSavedOn,
        kSavedSince,
        kLarger,
        kSmaller,   // number: octets (CRLF size)
        kOlder,
        kYounger,   // number: seconds
        kModSeq,    // number: modseq at least
    };
    Kind kind = Kind::kAll;
    bool negate = false;
    std::vector<SearchKey> children;
    NumberSet numbers;
    SystemFlag flag = kSeen;
    std::string header;
    std::string text;
    int64_t day = 0;   // days since 1970-01-01
    uint64_t number = 0;
};

enum class SortField {
    kArrival,
    kCc,
    kDate,
    kFrom,
    kSize,
    kSubject,
    kTo,
    kDisplayFrom,
    kDisplayTo
};   // RFC 5256, RFC 5957
struct SortKey {
    SortField field = SortField::kArrival;
    bool reverse = false;
};

enum class ThreadAlgorithm { kOrderedSubject, kReferences, kRefs };

// A node of a thread; `message` is 0 for a missing parent (dummy).
struct ThreadNode {
    SeqNum message;
    std::vector<ThreadNode> children;
};

// RFC 5256 §4: "(1 2)(3 (4)(5))", numbers as sequence numbers or, through `number`, as UIDs. Recursion is bounded by
// the builder.
class Mailbox;
std::string thread_response(const std::vector<ThreadNode>& threads, const Mailbox* uids_of);

}   // namespace postcot::maildir
