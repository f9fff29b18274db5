// RFC 5256 SORT.
#include <algorithm>

#include "imapd/commands/commands.h"
#include "imapd/commands/search_key.h"
#include "libproto/imap/response.h"

namespace postcot::imapd {

namespace {

maildir::SortField field_of(imap::SortOrder::Field field) {
    using From = imap::SortOrder::Field;
    switch (field) {
        case From::kArrival: return maildir::SortField::kArrival;
        case From::kCc: return maildir::SortField::kCc;
        case From::kDate: return maildir::SortField::kDate;
        case From::kFrom: return maildir::SortField::kFrom;
        case From::kSize: return maildir::SortField::kSize;
        case From::kSubject: return maildir::SortField::kSubject;
        case From::kTo: return maildir::SortField::kTo;
    }
    return maildir::SortField::kArrival;
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::Sort& sort) {
    News news = sort.search.uid ? News::kAll : News::kNoExpunges;
    if (!charset_known(sort.search.charset))
        co_return Dispatch{no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset"), news};
    std::vector<maildir::SortKey> order;
    for (const auto& key : sort.order) order.push_back({field_of(key.field), key.reverse});
    std::string out = "* SORT";
    uint64_t modseq = 0;
    bool wants_modseq = imap::uses_modseq(sort.search.key);
    if (wants_modseq) session.enable_condstore();
    auto run = [&](maildir::Mailbox& mailbox) -> Expected<void> {
        auto key = to_store(sort.search.key, mailbox, sort.search.charset, session.state().saved);
        auto result = mailbox.sort(key, order);
        if (!result) return fail(result.error());
        out.reserve(result->size() * 7 + 32);
        for (maildir::SeqNum seq : *result) {
            out += ' ';
            imap::append_number(out, sort.search.uid ? mailbox.uid_of(seq).value : seq.value);
            if (wants_modseq) modseq = std::max(modseq, mailbox.at(seq).modseq().value);
        }
        return {};
    };
    auto sorted = co_await session.with_mailbox(run);
    if (!sorted) co_return Dispatch{no(sorted.error()), news};
    if (modseq > 0) out += " (MODSEQ " + std::to_string(modseq) + ")";
    out += "\r\n";
    auto written = co_await session.stream().write(out, kOutputTimeout);
    if (!written) session.end("Connection closed");
    co_return Dispatch{ok("Sort completed."), news};
}

}   // namespace postcot::imapd
