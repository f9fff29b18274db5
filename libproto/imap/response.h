// RFC 3501 §7 and §9: strings as a server sends them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/imap/flags.h"

namespace postcot::imap {

// A quoted string when the text allows it, else a literal. 8-bit needs a literal.
void append_string(std::string& out, std::string_view text);
// As an atom when the text allows it (and is not NIL), else as append_string().
void append_astring(std::string& out, std::string_view text);
// UTF-8 to modified UTF-7 (or UTF-8 as it is), as an astring, always quoted when `quoted`.
void append_mailbox(std::string& out, std::string_view utf8_name, bool quoted = false);
void append_number(std::string& out, uint64_t number);
// resp-text must not hold CR, LF or NUL and not start like a response code.
std::string clean_text(std::string_view text);
// "tag OK [CODE] text\r\n"; `code` may be empty.
std::string tagged(std::string_view tag, std::string_view status, std::string_view code, std::string_view text);

}   // namespace postcot::imap
