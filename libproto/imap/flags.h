// RFC 3501 §2.3.2: flag lists as clients write them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/imap/lexer.h"

namespace postcot::imap {

struct FlagList {
    bool answered = false, flagged = false, deleted = false, seen = false, draft = false;
    std::vector<std::string> keywords;   // as written, without doubles (case-insensitive)
    bool operator==(const FlagList&) const = default;
};
inline constexpr size_t kMaxFlags = 256;

// flag-list with its parentheses, or one or more bare flags (STORE only).
Expected<FlagList> parse_flag_list(Lexer& in, bool bare_allowed);

}   // namespace postcot::imap
