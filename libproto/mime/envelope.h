// RFC 3501 §7.4.2 ENVELOPE, and the strings SORT and THREAD compare (RFC 5256 §2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libproto/mime/address.h"
#include "libproto/mime/header.h"

namespace postcot::mime {

struct Envelope {
    std::string date, subject;   // raw, unfolded; has_* tell NIL from ""
    bool has_date = false, has_subject = false;
    std::vector<Address> from, sender, reply_to, to, cc, bcc;   // sender and reply_to default to from
    std::string in_reply_to, message_id;
    bool has_in_reply_to = false, has_message_id = false;
};
Envelope envelope_of(const std::vector<Field>& fields);
void append_imap(std::string& out, const Envelope& envelope);
// nstring: quoted, or a literal when it has what would need escaping (as Dovecot writes it: some clients do not undo escapes).
void append_nstring(std::string& out, std::string_view text);

// RFC 5256 §2.1 base subject of a raw Subject value, UTF-8, not yet casemapped. `is_reply_or_forward` for THREAD.
std::string base_subject(std::string_view raw_subject, bool* is_reply_or_forward = nullptr);
// Message identifiers "<a@b>" of References, In-Reply-To or Message-ID, without the brackets, normalised (quotes taken
// off).
std::vector<std::string> message_ids(std::string_view value, size_t max = 1000);

}   // namespace postcot::mime
