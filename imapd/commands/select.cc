// RFC 3501 §6.3.1 SELECT, §6.3.2 EXAMINE; RFC 7162 §3.1.8 (CONDSTORE), §3.2.5 (QRESYNC).
#include <fmt/format.h>

#include "imapd/commands/commands.h"
#include "imapd/flags.h"
#include "imapd/vanished.h"

namespace postcot::imapd {

namespace {

// RFC 7162 §3.2.5.1: what vanished and what changed since the client was here.
Expected<void> resync(std::string& out, maildir::Mailbox& mailbox, const imap::Resync& client) {
    auto vanished = append_vanished_earlier(out, mailbox, maildir::ModSeq{client.modseq}, client.known_uids);
    if (!vanished) return vanished;
    maildir::NumberSet known{{1, UINT32_MAX}};
    if (client.known_uids) {
        known.clear();
        for (const auto& range : client.known_uids->resolve(UINT32_MAX)) known.push_back({range.first, range.last});
    }
    for (maildir::SeqNum seq : mailbox.select_uids(known))
        if (mailbox.at(seq).modseq().value > client.modseq) append_flags_fetch(out, mailbox, seq, true, true);
    return {};
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::Select& select) {
    if (select.resync && !session.state().qresync)   // RFC 7162 §3.2.5
        co_return Dispatch{bad("QRESYNC is not enabled"), News::kNone};
    if (session.mailbox()) {
        co_await session.close_mailbox();   // RFC 3501 §6.3.1: even when what follows fails
        session.put("* OK [CLOSED] Previous mailbox closed.\r\n");
    }
    if (select.condstore) session.enable_condstore();
    std::string out;
    auto access = select.examine ? maildir::Access::kReadOnly : maildir::Access::kReadWrite;
    auto open = [&](maildir::MailStore& store) -> Expected<std::unique_ptr<maildir::Mailbox>> {
        auto opened = store.select(select.mailbox, access);
        if (!opened) return opened;
        maildir::Mailbox& mailbox = **opened;
        bool read_only = select.examine || mailbox.read_only();
        append_flag_lines(out, mailbox, read_only);
        out += fmt::format("* {} EXISTS\r\n* {} RECENT\r\n", mailbox.exists(), mailbox.recent());
        if (auto unseen = mailbox.first_unseen())
            out += fmt::format("* OK [UNSEEN {}] First unseen.\r\n", unseen->value);
        out += fmt::format("* OK [UIDVALIDITY {}] UIDs valid\r\n* OK [UIDNEXT {}] Predicted next UID\r\n",
                           mailbox.uid_validity(), mailbox.uid_next().value);
        out += fmt::format("* OK [HIGHESTMODSEQ {}] Highest\r\n", mailbox.highest_modseq().value);
        if (select.resync && select.resync->uid_validity == mailbox.uid_validity()) {
            auto resynced = resync(out, mailbox, *select.resync);
            if (!resynced) return fail(resynced.error());
        }
        return opened;
    };
    auto mailbox = co_await session.owner().with_store(open);
    if (!mailbox) co_return Dispatch{no(mailbox.error()), News::kNone};
    bool read_only = select.examine || (*mailbox)->read_only();
    session.set_mailbox(std::move(*mailbox), read_only);
    session.put(out);
    std::string text = select.examine ? "Examine completed." : "Select completed.";
    co_return Dispatch{ok(std::move(text), read_only ? "READ-ONLY" : "READ-WRITE"), News::kNone};
}

}   // namespace postcot::imapd
