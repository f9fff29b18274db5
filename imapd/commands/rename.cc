// RFC 3501 §6.3.5. INBOX: its messages move, it stays.
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Rename& command) {
    auto rename = [&](maildir::MailStore& store) { return store.rename(command.from, command.to); };
    auto renamed = co_await session.owner().with_store(rename);
    if (!renamed) co_return Dispatch{no(renamed.error()), News::kAll};
    session.owner().changed(command.from, &session);
    co_return Dispatch{ok("Rename completed."), News::kAll};
}

}   // namespace postcot::imapd
