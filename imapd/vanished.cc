#include "imapd/vanished.h"

#include <algorithm>

namespace postcot::imapd {

namespace {

using Ranges = std::vector<imap::SequenceSet::Range>;

void add(Ranges& out, uint32_t first, uint32_t last) {
    if (!out.empty() && out.back().last + 1 == first)
        out.back().last = last;
    else
        out.push_back({first, last});
}

void append(std::string& out, std::string_view what, const Ranges& uids) {
    if (uids.empty()) return;
    out += what;
    out += imap::format_ranges(uids);
    out += "\r\n";
}

}   // namespace

void append_vanished(std::string& out, const std::vector<maildir::Uid>& uids) {
    Ranges ranges;
    for (maildir::Uid uid : uids) add(ranges, uid.value, uid.value);
    append(out, "* VANISHED ", ranges);
}

Expected<void> append_vanished_earlier(std::string& out, maildir::Mailbox& mailbox, maildir::ModSeq since,
                                       const std::optional<imap::SequenceSet>& known) {
    uint32_t last = mailbox.uid_next().value - 1;
    Ranges asked = known ? known->resolve(last) : Ranges{{1, last}};
    Ranges gone;
    auto expunged = mailbox.expunged_since(since);
    if (!expunged) return fail(expunged.error());
    if (*expunged) {
        auto range = asked.begin();
        for (maildir::Uid uid : **expunged) {
            while (range != asked.end() && range->last < uid.value) ++range;
            if (range == asked.end()) break;
            // What this session has not been told of yet still stands in its numbers: VANISHED follows without EARLIER.
            if (range->first <= uid.value && !mailbox.find(uid)) add(gone, uid.value, uid.value);
        }
    } else {
        uint32_t seq = 1;
        for (const auto& range : asked) {
            uint32_t next = range.first, end = std::min(range.last, last);
            for (; seq <= mailbox.exists(); ++seq) {
                uint32_t uid = mailbox.uid_of(maildir::SeqNum{seq}).value;
                if (uid > end) break;
                if (uid < next) continue;
                if (uid > next) add(gone, next, uid - 1);
                next = uid + 1;
            }
            if (next <= end) add(gone, next, end);
        }
    }
    append(out, "* VANISHED (EARLIER) ", gone);
    return {};
}

}   // namespace postcot::imapd
