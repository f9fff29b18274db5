// RFC 3501 §6.1.3
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session& session, const imap::Logout&) {
    session.put("* BYE Logging out\r\n");
    session.end("Logged out");
    co_return Dispatch{ok("Logout completed."), News::kNone};
}

}   // namespace postcot::imapd
