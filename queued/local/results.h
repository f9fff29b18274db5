// Shorthand for the answers agents give.
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"
#include "libproto/ipc/delivery.h"

namespace postcot::queued {

ipc::RecipientResult sent(std::string text, std::string dsn = "2.0.0");
ipc::RecipientResult deferred(std::string dsn, std::string text);
ipc::RecipientResult bounced(std::string dsn, std::string text);
// Deferred or bounced as the first digit of `dsn` says.
ipc::RecipientResult failed(std::string dsn, std::string text);
// A file system error as local(8) and virtual(8) take it: over quota and too large are final (5.2.2), the rest may pass. `what` is "maildir" or "mailbox".
ipc::RecipientResult mailbox_failed(std::string_view what, const Error& error);

// postconf(5) recipient_delimiter: splits "user+ext" at the first of the delimiters that is not its first character. "owner-list" and "list-request" are
// kept whole when the delimiter is '-' and owner_request_special is on.
struct SplitLocal {
    std::string user;
    std::string extension;
    char delimiter = 0;   // 0: there was none
};
SplitLocal split_local(std::string_view local, std::string_view delimiters, bool owner_request_special = true);

// An address in internal form at its last '@'; the domain in lower case.
struct SplitAddress {
    std::string local;
    std::string domain;
};
SplitAddress split_address(std::string_view address);

std::string lower_case(std::string_view text);

}   // namespace postcot::queued
