// RFC 5321 §4.1: one command line -> one typed value. Whether it may be given now is the session's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "libproto/error.h"
#include "libproto/smtp/parameters.h"
#include "libproto/smtp/path.h"

namespace postcot::smtp {

enum class Verb : uint8_t {
    kUnknown,
    kHelo,
    kEhlo,
    kLhlo,
    kMail,
    kRcpt,
    kData,
    kBdat,
    kRset,
    kNoop,
    kQuit,
    kVrfy,
    kExpn,
    kHelp,
    kEtrn,
    kStartTls,
    kAuth,
    kXclient,
    kXforward,
    // What is no SMTP but says who is talking (smtpd_forbidden_commands and mistaken protocols).
    kConnect,
    kGet,
    kPost,
};
inline constexpr int kVerbCount = static_cast<int>(Verb::kPost) + 1;

struct CommandLine {
    Verb verb = Verb::kUnknown;
    std::string_view word;        // the verb as sent
    std::string_view arguments;   // without blanks at its ends
};

// The verb may be in any case (RFC 5321 §2.4).
CommandLine split_command(std::string_view line);
std::string_view verb_name(Verb verb);   // lower case, as "disconnect from" counts it: "ehlo", "starttls"

struct Mail {
    Path path;
    MailParameters parameters;
};
struct Rcpt {
    Path path;
    RcptParameters parameters;
};
struct Bdat {
    uint64_t size = 0;
    bool last = false;
};
struct Auth {
    std::string mechanism;                // upper case
    std::optional<std::string> initial;   // base64 as sent; "" for "=" (RFC 4954 §4)
};

struct MailOptions {
    Offered offered;
    bool strict = false;    // strict_rfc821_envelopes
    bool min_user = true;   // allow_min_user
};

// Each takes CommandLine::arguments.
Expected<Mail> parse_mail(std::string_view arguments, const MailOptions& options);
Expected<Rcpt> parse_rcpt(std::string_view arguments, const MailOptions& options, bool smtputf8);
Expected<Bdat> parse_bdat(std::string_view arguments);   // RFC 3030 §2: decimal size, optional LAST
Expected<Auth> parse_auth(std::string_view arguments);

}   // namespace postcot::smtp
