// Mailbox names: UTF-8 inside, RFC 3501 §5.1.3 modified UTF-7 on the wire of IMAP4rev1.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postcot::imap {

// nullopt: not valid modified UTF-7 (8-bit octets, bad base64, an encoded printable ASCII character, a lone surrogate).
std::optional<std::string> decode_modified_utf7(std::string_view name);
// The input must be valid UTF-8; octets that are not are encoded as U+FFFD.
std::string encode_modified_utf7(std::string_view utf8);
bool valid_utf8(std::string_view text);

// What a client wrote, as UTF-8: modified UTF-7 if it decodes, else UTF-8 if it is that (Dovecot takes it too), else
// nullopt.
std::optional<std::string> mailbox_name_from_wire(std::string_view name);

// RFC 3501 §6.3.8: "*" matches anything, "%" anything but the separator. Linear in pattern x name; both are bounded by
// the line. INBOX at the start of the pattern is matched without regard to case by the caller (it canonicalises the
// pattern).
bool matches_list_pattern(std::string_view pattern, std::string_view name, char separator);

}   // namespace postcot::imap
