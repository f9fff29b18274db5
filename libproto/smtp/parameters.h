// The ESMTP parameters of MAIL and RCPT.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::smtp {

enum class Body : uint8_t { k7Bit, k8BitMime, kBinaryMime };   // RFC 6152, RFC 3030
enum class Ret : uint8_t { kUnset, kFull, kHeaders };          // RFC 3461 §4.3

// RFC 3461 §4.1, a set of bits; 0: the client said nothing.
enum Notify : uint8_t { kNotifyUnset = 0, kNotifyNever = 1, kNotifySuccess = 2, kNotifyFailure = 4, kNotifyDelay = 8 };

// Which extensions the session offers: a parameter of one that it does not is refused with 555, as if unknown.
struct Offered {
    bool size = true;
    bool eight_bit_mime = true;
    bool binary_mime = false;
    bool dsn = true;
    bool smtputf8 = true;
    bool auth = true;
};

struct MailParameters {
    std::optional<uint64_t> size;   // RFC 1870
    std::optional<Body> body;
    bool smtputf8 = false;             // RFC 6531
    std::optional<std::string> auth;   // RFC 4954 §5, decoded; "<>" means the client does not vouch
    Ret ret = Ret::kUnset;
    std::string envid;   // decoded; empty when absent
};

struct RcptParameters {
    uint8_t notify = kNotifyUnset;
    std::string orcpt;   // "rfc822;address" or "utf-8;address", address decoded; empty when absent
};

// `text`: what follows the path. Errors: 555 5.5.4 for what is not offered, 501 5.5.4 for bad values and repetition.
Expected<MailParameters> parse_mail_parameters(std::string_view text, const Offered& offered);
Expected<RcptParameters> parse_rcpt_parameters(std::string_view text, const Offered& offered, bool smtputf8);

// Does any word of `text` ask for SMTPUTF8? The path in front of it is read differently then.
bool asks_smtputf8(std::string_view text);

std::string notify_text(uint8_t notify);   // "SUCCESS,FAILURE", "NEVER"; empty when unset
// "NEVER" or a list of the others, any case; 501 5.5.4. Also sendmail -N.
Expected<uint8_t> parse_notify(std::string_view value);

}   // namespace postcot::smtp
