// RFC 3501 §6.3.1 SELECT, §6.3.2 EXAMINE; RFC 7162 §3.1.8 (CONDSTORE).
#include <fmt/format.h>

#include "imapd/commands/commands.h"
#include "imapd/flags.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Select& select) {
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
