// RFC 5321 §4.1.2: Reverse-path and Forward-path, with RFC 6531's UTF-8 when the session has SMTPUTF8.
// No I/O, total: any bytes give a Path or a reason.
//
// Like Postfix, a path is taken more liberally than the RFC writes it unless strict_rfc821_envelopes is set: without
// angle brackets, with blanks before it, with dots in odd places, and without a domain (the rewriter appends
// $myorigin).
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::smtp {

struct Path {
    std::string local;   // unquoted: the octets the mailbox name means
    std::string
        domain;   // as sent (case kept), or an address literal with its brackets; empty for <>, <postmaster> and <user>

    bool null() const { return local.empty() && domain.empty(); }
    // The internal form that tables, queue files and logs use: local@domain, unquoted.
    std::string internal() const;
    // The form for SMTP commands and headers: the local part quoted where RFC 5321 needs it.
    std::string external() const;
};

enum class PathKind { kReverse, kForward };

struct PathOptions {
    bool smtputf8 = false;   // MAIL had SMTPUTF8
    bool strict = false;     // strict_rfc821_envelopes
    bool min_user = true;   // allow_min_user: a local part may begin with '-', which a command could take for an option
};

inline constexpr size_t kMaxPath = 1500;   // octets between the brackets; RFC 5321 asks for 256, VERP and SRS for more
inline constexpr size_t kMaxLocalPart = 500;   // 64 when strict (§4.5.3.1.1)

// Parses "<a@b>" and leaves in `rest` what follows it (the ESMTP parameters, without leading blanks). A source route
// (§4.1.2, appendix C) is dropped. Errors: 501 5.1.7 bad sender syntax, 501 5.1.3 bad recipient syntax, 553 5.6.7 UTF-8
// without SMTPUTF8.
Expected<Path> parse_path(std::string_view in, PathKind kind, PathOptions options, std::string_view& rest);

// Splits an internal-form address at its last '@'.
Path split_internal(std::string_view address);
// The address an internal form stands for, quoted for the wire: `a b@c` -> `"a b"@c`.
std::string to_external(std::string_view internal);
// The other way: quotes removed (`"a b"@c` -> `a b@c`); what is not quoted stays as it is.
std::string to_internal(std::string_view external);
// Local part, quoted where RFC 5321's Dot-string does not allow it as it is.
std::string quote_local(std::string_view local);

// RFC 5321 §4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]". The address without tag and brackets, or empty when it is none.
std::string parse_address_literal(std::string_view literal);
bool is_ipv4(std::string_view text);
bool is_ipv6(std::string_view text);

// Labels of 1 to 63 letters, digits, '-' and '_' (and UTF-8 when allowed), at most 255 octets.
bool is_domain_syntax(std::string_view domain, bool utf8);
// Postfix's valid_hostname: as above, no '-' at the ends of a label, not all numeric.
bool is_valid_hostname(std::string_view name);

}   // namespace postcot::smtp
