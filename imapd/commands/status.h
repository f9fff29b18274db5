// "* STATUS name (...)" for STATUS and LIST-STATUS.
#pragma once

#include <string>

#include "libmaildir/store.h"
#include "libproto/imap/mailbox_commands.h"

namespace postcot::imapd {

Expected<void> append_status(std::string& out, maildir::MailStore& store, const std::string& mailbox,
                             const imap::StatusItems& items);

}   // namespace postcot::imapd
