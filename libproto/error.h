// Errors that can happen are values. Exceptions are for bugs and out-of-memory.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace postcot {

// `code` is an errno value where the system failed (runtime/, libmaildir), and the protocol's own reply code where a
// grammar refuses its input (501 in SMTP; 0 in protocols without numbers).
struct Error {
    int code = 0;
    std::string enhanced;   // RFC 3463 status ("5.1.7") or IMAP/POP3 response code ("ALREADYEXISTS"); empty when there is none
    std::string text;       // one line for the log and for the client, without CRLF
};

template <class T = void>
using Expected = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(int code, std::string text) { return tl::unexpected(Error{code, {}, std::move(text)}); }
inline tl::unexpected<Error> fail(int code, std::string enhanced, std::string text) {
    return tl::unexpected(Error{code, std::move(enhanced), std::move(text)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected(std::move(error)); }

// "<what>: <strerror(errnum)>", code = errnum.
tl::unexpected<Error> fail_errno(int errnum, std::string_view what);

}   // namespace postcot
