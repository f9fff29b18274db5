// RFC 3501 §6.4.3; UID EXPUNGE (RFC 4315 §2.1).
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Expunge& command) {
    if (session.state().read_only) co_return Dispatch{no("", "Mailbox is read-only."), News::kAll};
    maildir::NumberSet uids;
    if (command.uids) {
        auto seqs = co_await session.resolve(*command.uids, true);
        if (!seqs) co_return Dispatch{bad(seqs.error().text), News::kNone};
        auto number = [&](maildir::Mailbox& mailbox) {
            for (maildir::SeqNum seq : *seqs) {
                uint32_t uid = mailbox.uid_of(seq).value;
                uids.push_back({uid, uid});
            }
        };
        co_await session.with_mailbox(number);
    }
    const maildir::NumberSet* only = command.uids ? &uids : nullptr;
    auto expunge = [only](maildir::Mailbox& mailbox) { return mailbox.expunge(only); };
    auto expunged = co_await session.with_mailbox(expunge);
    if (!expunged) co_return Dispatch{no(expunged.error()), News::kAll};
    session.counters().expunged += *expunged;
    if (*expunged > 0) session.owner().changed(session.state().mailbox, &session);
    Reply reply = ok("Expunge completed.");
    reply.with_modseq = session.state().qresync && *expunged > 0;
    co_return Dispatch{std::move(reply), News::kAll};
}

}   // namespace postcot::imapd
