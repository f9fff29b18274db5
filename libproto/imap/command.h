// One command of a client, typed. parse_request() is total: any bytes give a request or the reason for BAD.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "libproto/error.h"
#include "libproto/imap/fetch.h"
#include "libproto/imap/mailbox_commands.h"
#include "libproto/imap/message_commands.h"
#include "libproto/imap/search.h"
#include "libproto/imap/session_commands.h"

namespace postcot::imap {

using Command = std::variant<Capability, Noop, Logout, StartTls, Idle, Namespace, Authenticate, Login, Id, Enable,   //
                             Select, Create, Delete, Rename, Subscribe, Unsubscribe, Status, List, Append,           //
                             Check, Close, Unselect, Expunge, Store, Copy, Fetch, Search, Sort, Thread>;

struct Request {
    std::string tag;    // empty: none could be read; answer "* BAD"
    std::string verb;   // upper case, "UID FETCH" for those; empty: none could be read
    Expected<Command> command =
        fail(0, "missing command");   // error: BAD, or NO when Error::enhanced names a response code
};

Request parse_request(std::string_view text);

}   // namespace postcot::imap
