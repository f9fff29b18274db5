// Flags between the store's bits and the wire's names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libmaildir/store.h"
#include "libproto/imap/flags.h"

namespace postcot::imapd {

// "(\Seen $Work)"
void append_flags(std::string& out, maildir::FlagSet flags, bool recent, const std::vector<std::string>& keywords);
uint8_t system_flags(const imap::FlagList& list);
// "FLAGS (...)" and "OK [PERMANENTFLAGS (...)]" lines.
void append_flag_lines(std::string& out, const maildir::Mailbox& mailbox, bool read_only);
// "* n FETCH (UID u FLAGS (...) MODSEQ (m))"
void append_flags_fetch(std::string& out, maildir::Mailbox& mailbox, maildir::SeqNum seq, bool uid, bool modseq);
// The first keyword that is longer than mail_max_keyword_length; empty: none.
std::string overlong_keyword(const imap::FlagList& list, size_t max);

}   // namespace postcot::imapd
