// RFC 3501 §6.4.4; ESEARCH (RFC 4731), SEARCHRES (RFC 5182), MODSEQ (RFC 7162 §3.1.5).
#include <algorithm>

#include "imapd/commands/commands.h"
#include "imapd/commands/search_key.h"
#include "libproto/imap/response.h"

namespace postcot::imapd {

namespace {

struct Found {
    std::vector<uint32_t> numbers;   // sequence numbers or UIDs, ascending
    std::vector<uint32_t> uids;      // filled for SAVE
    uint64_t modseq = 0;             // of what is returned
};

Expected<Found> find(Session& session, const imap::Search& search, maildir::Mailbox& mailbox) {
    auto key = to_store(search.key, mailbox, search.charset, session.state().saved);
    auto result = mailbox.search(key);
    if (!result) return fail(result.error());
    Found found;
    const auto* wanted = search.result ? &*search.result : nullptr;
    bool ends_only = wanted && (wanted->min || wanted->max) && !wanted->all && !wanted->count;
    bool modseq = imap::uses_modseq(search.key);
    found.numbers.reserve(result->size());
    for (size_t i = 0; i < result->size(); ++i) {
        maildir::SeqNum seq = (*result)[i];
        found.numbers.push_back(search.uid ? mailbox.uid_of(seq).value : seq.value);
        bool returned = !ends_only || (wanted->min && i == 0) || (wanted->max && i + 1 == result->size());
        if (!returned) continue;
        if (modseq) found.modseq = std::max(found.modseq, mailbox.at(seq).modseq().value);
        if (wanted && wanted->save) found.uids.push_back(mailbox.uid_of(seq).value);
    }
    return found;
}

std::string esearch(const std::string& tag, const imap::Search& search, const Found& found) {
    const imap::SearchReturn& wanted = *search.result;
    std::string out = "* ESEARCH (TAG ";
    imap::append_string(out, tag);
    out += search.uid ? ") UID" : ")";
    if (!found.numbers.empty()) {
        if (wanted.min) out += " MIN " + std::to_string(found.numbers.front());
        if (wanted.max) out += " MAX " + std::to_string(found.numbers.back());
        if (wanted.all) out += " ALL " + imap::format_set(found.numbers);
    }
    if (wanted.count) out += " COUNT " + std::to_string(found.numbers.size());
    if (found.modseq > 0) out += " MODSEQ " + std::to_string(found.modseq);
    return out + "\r\n";
}

std::string plain(const Found& found) {
    std::string out = "* SEARCH";
    out.reserve(found.numbers.size() * 7 + 32);
    for (uint32_t number : found.numbers) {
        out += ' ';
        imap::append_number(out, number);
    }
    if (found.modseq > 0) out += " (MODSEQ " + std::to_string(found.modseq) + ")";
    return out + "\r\n";
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::Search& search) {
    News news = search.uid ? News::kAll : News::kNoExpunges;
    bool save = search.result && search.result->save;
    if (!charset_known(search.charset)) {
        if (save) session.state().saved.clear();
        co_return Dispatch{no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset"), news};
    }
    if (imap::uses_modseq(search.key)) session.enable_condstore();
    auto run = [&](maildir::Mailbox& mailbox) { return find(session, search, mailbox); };
    auto found = co_await session.with_mailbox(run);
    if (!found) {
        if (save) session.state().saved.clear();
        co_return Dispatch{no(found.error()), news};
    }
    if (save) session.state().saved = std::move(found->uids);
    // RFC 5182 §2.1: SAVE alone has nothing to say.
    bool says =
        !search.result || search.result->min || search.result->max || search.result->all || search.result->count;
    if (says) {
        std::string line = search.result ? esearch(session.tag(), search, *found) : plain(*found);
        auto written = co_await session.stream().write(line, kOutputTimeout);
        if (!written) session.end("Connection closed");
    }
    co_return Dispatch{ok(save ? "Search completed, result saved." : "Search completed."), news};
}

}   // namespace postcot::imapd
