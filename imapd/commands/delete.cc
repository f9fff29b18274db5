// RFC 3501 §6.3.4. The selected mailbox of this session is closed first, as Dovecot does.
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Delete& command) {
    if (session.mailbox() && session.state().mailbox == command.mailbox && command.mailbox != "INBOX") {
        co_await session.close_mailbox();
        session.put("* OK [CLOSED] Mailbox closed.\r\n");
    }
    auto remove = [&](maildir::MailStore& store) { return store.remove(command.mailbox); };
    auto removed = co_await session.owner().with_store(remove);
    if (!removed) co_return Dispatch{no(removed.error()), News::kAll};
    session.owner().changed(command.mailbox, &session);
    co_return Dispatch{ok("Delete completed."), News::kAll};
}

}   // namespace postcot::imapd
