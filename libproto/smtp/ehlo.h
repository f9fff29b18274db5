// RFC 5321 §4.1.1.1: the keywords of an EHLO reply, as the client sees them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/smtp/reply.h"

namespace postcot::smtp {

struct EhloKeywords {
    std::string greeting_name;            // first word of the first line
    bool pipelining = false;              // RFC 2920
    bool size = false;                    // RFC 1870
    uint64_t max_size = 0;                // 0: no limit given
    bool eight_bit_mime = false;          // RFC 6152
    bool binary_mime = false;             // RFC 3030
    bool chunking = false;                // RFC 3030
    bool dsn = false;                     // RFC 3461
    bool enhanced_status_codes = false;   // RFC 2034
    bool start_tls = false;               // RFC 3207
    bool smtp_utf8 = false;               // RFC 6531
    bool etrn = false;                    // RFC 1985
    bool vrfy = false;
    bool require_tls = false;   // RFC 8689
    bool xclient = false;
    bool xforward = false;
    std::vector<std::string> auth;   // RFC 4954: mechanisms, upper case; also from "AUTH=PLAIN ..."

    bool has_auth(std::string_view mechanism) const;
};

// `ignore`: keywords to leave out, any case (smtp_discard_ehlo_keywords). Unknown keywords are skipped.
EhloKeywords parse_ehlo(const Reply& reply, const std::vector<std::string>& ignore = {});

}   // namespace postcot::smtp
