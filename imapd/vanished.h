// RFC 7162 §3.2: QRESYNC's VANISHED.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libmaildir/store.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imapd {

// "* VANISHED 3:5"; nothing for none. `uids` ascend.
void append_vanished(std::string& out, const std::vector<maildir::Uid>& uids);

// §3.2.6, §3.2.5.1: "* VANISHED (EARLIER) ..." of what was expunged after `since`, out of `known` (all UIDs without it). Where the store does not
// remember so far back, of everything that is not there.
Expected<void> append_vanished_earlier(std::string& out, maildir::Mailbox& mailbox, maildir::ModSeq since,
                                       const std::optional<imap::SequenceSet>& known);

}   // namespace postcot::imapd
