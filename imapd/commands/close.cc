// RFC 3501 §6.4.2 CLOSE: expunges without saying so. RFC 3691 UNSELECT: does not.
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Close&) {
    Expected<uint32_t> expunged = 0;
    std::string folder = session.state().mailbox;
    if (!session.state().read_only) {
        auto expunge = [](maildir::Mailbox& mailbox) { return mailbox.expunge(); };
        expunged = co_await session.with_mailbox(expunge);
        if (expunged) session.counters().expunged += *expunged;
    }
    co_await session.close_mailbox();
    if (expunged && *expunged > 0) session.owner().changed(folder, &session);
    if (!expunged) co_return Dispatch{no(expunged.error()), News::kNone};
    co_return Dispatch{ok("Close completed."), News::kNone};
}

Task<Dispatch> on(Session& session, const imap::Unselect&) {
    co_await session.close_mailbox();
    co_return Dispatch{ok("Unselect completed."), News::kNone};
}

}   // namespace postcot::imapd
