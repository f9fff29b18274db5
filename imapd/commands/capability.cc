// RFC 3501 §6.1.1
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Capability&) {
    session.put("* CAPABILITY " + session.settings().capability + "\r\n");
    co_return Dispatch{ok("Capability completed."), News::kAll};
}

// Already authenticated: RFC 3501 §6.2.
Task<Dispatch> on(Session&, const imap::StartTls&) { co_return Dispatch{bad("Already logged in"), News::kNone}; }
Task<Dispatch> on(Session&, const imap::Authenticate&) { co_return Dispatch{bad("Already logged in"), News::kNone}; }
Task<Dispatch> on(Session&, const imap::Login&) { co_return Dispatch{bad("Already logged in"), News::kNone}; }

}   // namespace postcot::imapd
