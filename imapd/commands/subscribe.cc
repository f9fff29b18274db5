// RFC 3501 §6.3.6 SUBSCRIBE, §6.3.7 UNSUBSCRIBE.
#include "imapd/commands/commands.h"

namespace postcot::imapd {

namespace {

Task<Dispatch> subscription(Session& session, std::string name, bool on, std::string done) {
    auto change = [&](maildir::MailStore& store) -> Expected<void> {
        if (on && !store.exists(name)) return fail(0, "NONEXISTENT", "Mailbox doesn't exist: " + name);   // as Dovecot
        return store.subscribe(name, on);
    };
    auto changed = co_await session.owner().with_store(change);
    if (!changed) co_return Dispatch{no(changed.error()), News::kAll};
    co_return Dispatch{ok(std::move(done)), News::kAll};
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::Subscribe& command) {
    return subscription(session, command.mailbox, true, "Subscribe completed.");
}
Task<Dispatch> on(Session& session, const imap::Unsubscribe& command) {
    return subscription(session, command.mailbox, false, "Unsubscribe completed.");
}

}   // namespace postcot::imapd
