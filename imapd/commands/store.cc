// RFC 3501 §6.4.6; UNCHANGEDSINCE (RFC 7162 §3.1.3).
#include <algorithm>

#include "imapd/commands/commands.h"
#include "imapd/flags.h"
#include "libproto/imap/response.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Store& command) {
    if (session.state().read_only) co_return Dispatch{no("", "Mailbox is read-only."), News::kNoExpunges};
    if (std::string keyword = overlong_keyword(command.flags, session.settings().max_keyword_length); !keyword.empty())
        co_return Dispatch{no("LIMIT", "Keyword is too long: " + keyword), News::kNoExpunges};
    auto seqs = co_await session.resolve(command.set, command.uid);
    if (!seqs) co_return Dispatch{bad(seqs.error().text), News::kNone};
    if (command.unchanged_since) session.enable_condstore();

    maildir::StoreChange change;
    using How = maildir::StoreChange::How;
    change.how = command.how == imap::Store::How::kAdd      ? How::kAdd
                 : command.how == imap::Store::How::kRemove ? How::kRemove
                                                            : How::kReplace;
    change.system = system_flags(command.flags);
    change.keywords = command.flags.keywords;
    if (command.unchanged_since) change.unchanged_since = maildir::ModSeq{*command.unchanged_since};

    std::string out, modified;
    bool modseq = session.state().condstore;
    bool uid = command.uid || session.state().qresync;
    size_t gone = 0, changed = 0;
    auto store = [&](maildir::Mailbox& mailbox) -> Expected<void> {
        auto result = mailbox.store(*seqs, change);
        if (!result) return fail(result.error());
        gone = result->gone.size();
        changed = result->changed.size();
        if (result->keywords_changed) append_flag_lines(out, mailbox, false);
        // RFC 3501 §6.4.6: .SILENT is silent about the client's own change only. RFC 7162 §3.1.3: with CONDSTORE on, it tells
        // the new mod-sequence.
        if (!command.silent) {
            for (maildir::SeqNum seq : result->changed) append_flags_fetch(out, mailbox, seq, uid, modseq);
        } else {
            for (maildir::SeqNum seq : result->surprising) append_flags_fetch(out, mailbox, seq, uid, modseq);
        }
        if (command.silent && modseq) {
            for (maildir::SeqNum seq : result->changed) {
                if (std::binary_search(result->surprising.begin(), result->surprising.end(), seq)) continue;
                out += "* ";
                imap::append_number(out, seq.value);
                out += " FETCH (";
                if (uid) {
                    out += "UID ";
                    imap::append_number(out, mailbox.uid_of(seq).value);
                    out += ' ';
                }
                out += "MODSEQ (";
                imap::append_number(out, mailbox.at(seq).modseq().value);
                out += "))\r\n";
            }
        }
        std::vector<uint32_t> numbers;
        for (maildir::SeqNum seq : result->modified)
            numbers.push_back(command.uid ? mailbox.uid_of(seq).value : seq.value);
        modified = imap::format_set(numbers);
        return {};
    };
    auto stored = co_await session.with_mailbox(store);
    if (!stored) co_return Dispatch{no(stored.error()), News::kNoExpunges};
    if (command.flags.deleted && command.how != imap::Store::How::kRemove) session.counters().deleted += changed;
    if (changed > 0) session.owner().changed(session.state().mailbox, &session);
    auto written = co_await session.stream().write(out, kOutputTimeout);
    if (!written) session.end("Connection closed");
    News news = command.uid ? News::kAll : News::kNoExpunges;
    if (!modified.empty()) co_return Dispatch{ok("Conditional store failed.", "MODIFIED " + modified), news};
    // RFC 2180 §4.2.3: messages that someone else expunged.
    if (gone > 0 && changed == 0)
        co_return Dispatch{no("EXPUNGEISSUED", "Some of the requested messages no longer exist."), news};
    co_return Dispatch{ok("Store completed."), news};
}

}   // namespace postcot::imapd
