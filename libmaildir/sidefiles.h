// Dovecot's small side files: dovecot-keywords, subscriptions, dovecot-uidvalidity.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/files.h"

namespace postcot::maildir {

// dovecot-keywords: "<index> <keyword>" lines; index 0 is letter 'a'. Gaps are empty strings.
Expected<std::vector<std::string>> read_keywords(Files& files, const std::string& path);
// Adds what is missing under dovecot-keywords.lock and returns the whole list, read anew. LIMIT when all 26 letters are taken.
Expected<std::vector<std::string>> add_keywords(Files& files, const std::string& path,
                                                const std::vector<std::string>& names);

// subscriptions: version 2 is "V\t2", an empty line, then one name per line, its parts (modified UTF-7) separated by tabs and tab-escaped; before that,
// plain lines in the storage's form. Names here have '.' replaced by `separator` given (the layout's own).
Expected<std::vector<std::string>> read_subscriptions(Files& files, const std::string& path, char separator);
// Under subscriptions.lock; what the file has already keeps its order. A plain file stays plain.
Expected<void> set_subscribed(Files& files, const std::string& path, char separator, const std::string& name, bool on);

// dovecot-uidvalidity holds the last value given out in eight hexadecimal digits, and beside it stands an empty dovecot-uidvalidity.<value>; that one's
// rename to the next value is what makes a value unique. Never gives a value twice, whatever was deleted.
Expected<uint32_t> next_uid_validity(Files& files, const std::string& directory);

}   // namespace postcot::maildir
