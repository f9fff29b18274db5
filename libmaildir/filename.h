// Maildir file names: "<base>:2,<flags>". The base is the message's identity; flags change by renaming.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libmaildir/types.h"

namespace postcot::maildir {

// Up to the first ':' (Dovecot compares names so).
std::string_view base_of(std::string_view name);
// Letters after ":2,": D F R S T, and a..z for keywords. Others are not ours and are kept by with_flags().
FlagSet flags_of(std::string_view name);
// The name with these flags, letters in ASCII order, unknown letters kept.
std::string with_flags(std::string_view name, FlagSet flags);
// ",S=<octets in the file>" and ",W=<octets in CRLF form>" in the base.
std::optional<uint64_t> size_field(std::string_view base, char field);
// Order in which files new to the uidlist get their UIDs: by the time they begin with, microseconds
// included ("1.M9" is before "1.M10"), then by name.
bool delivered_before(std::string_view a, std::string_view b);
// A new base name: "<seconds>.M<microseconds>P<pid>Q<counter>.<host>".
std::string unique_name();

}   // namespace postcot::maildir
