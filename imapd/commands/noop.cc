// RFC 3501 §6.1.2 NOOP and §6.4.1 CHECK: both look at the mailbox.
#include "imapd/commands/commands.h"

namespace postcot::imapd {

Task<Dispatch> on(Session&, const imap::Noop&) { co_return Dispatch{ok("NOOP completed."), News::kAll}; }
Task<Dispatch> on(Session&, const imap::Check&) { co_return Dispatch{ok("Check completed."), News::kAll}; }

}   // namespace postcot::imapd
