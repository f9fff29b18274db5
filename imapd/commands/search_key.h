// The grammar's search key as the store's: sets resolved, charset converted.
#pragma once

#include <cstdint>
#include <vector>

#include "libmaildir/store.h"
#include "libproto/imap/search.h"

namespace postcot::imapd {

bool charset_known(const std::string& charset);
maildir::SearchKey to_store(const imap::SearchKey& key, maildir::Mailbox& mailbox, const std::string& charset,
                            const std::vector<uint32_t>& saved_uids);

}   // namespace postcot::imapd
