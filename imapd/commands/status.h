// "* STATUS name (...)" for STATUS and LIST-STATUS.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "libmaildir/store.h"
#include "libproto/imap/mailbox_commands.h"

namespace postcot::imapd {

Expected<void> append_status(std::string& out, maildir::MailStore& store, const std::string& mailbox,
                             const imap::StatusItems& items, std::optional<uint32_t> recent = std::nullopt);

}   // namespace postcot::imapd
