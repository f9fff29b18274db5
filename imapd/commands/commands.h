// One function per command, each in the file of its name. They put untagged responses into the session's stream and return the tagged one.
#pragma once

#include "imapd/session.h"
#include "libproto/imap/command.h"

namespace postcot::imapd {

struct Dispatch {
    Reply reply;
    News news = News::kAll;
};

Task<Dispatch> run_command(Session& session, const imap::Command& command);

// APPEND is run from the reader: its messages are not part of the command's text.
Task<void> append_messages(Session& session, imap::Request request);

Task<Dispatch> on(Session& session, const imap::Capability& command);
Task<Dispatch> on(Session& session, const imap::Noop& command);
Task<Dispatch> on(Session& session, const imap::Check& command);
Task<Dispatch> on(Session& session, const imap::Logout& command);
Task<Dispatch> on(Session& session, const imap::StartTls& command);
Task<Dispatch> on(Session& session, const imap::Authenticate& command);
Task<Dispatch> on(Session& session, const imap::Login& command);
Task<Dispatch> on(Session& session, const imap::Id& command);
Task<Dispatch> on(Session& session, const imap::Enable& command);
Task<Dispatch> on(Session& session, const imap::Idle& command);
Task<Dispatch> on(Session& session, const imap::Namespace& command);
Task<Dispatch> on(Session& session, const imap::Select& command);
Task<Dispatch> on(Session& session, const imap::Close& command);
Task<Dispatch> on(Session& session, const imap::Unselect& command);
Task<Dispatch> on(Session& session, const imap::Create& command);
Task<Dispatch> on(Session& session, const imap::Delete& command);
Task<Dispatch> on(Session& session, const imap::Rename& command);
Task<Dispatch> on(Session& session, const imap::Subscribe& command);
Task<Dispatch> on(Session& session, const imap::Unsubscribe& command);
Task<Dispatch> on(Session& session, const imap::Status& command);
Task<Dispatch> on(Session& session, const imap::List& command);
Task<Dispatch> on(Session& session, const imap::Append& command);
Task<Dispatch> on(Session& session, const imap::Expunge& command);
Task<Dispatch> on(Session& session, const imap::Search& command);
Task<Dispatch> on(Session& session, const imap::Sort& command);
Task<Dispatch> on(Session& session, const imap::Thread& command);
Task<Dispatch> on(Session& session, const imap::Fetch& command);
Task<Dispatch> on(Session& session, const imap::Store& command);
Task<Dispatch> on(Session& session, const imap::Copy& command);

}   // namespace postcot::imapd
