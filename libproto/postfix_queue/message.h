// A Postfix queue file as a message: envelope, content, what was extracted from headers. Written by cleanup(8) (incoming, active, deferred, hold) or by
// postdrop(1) (maildrop); Postfix 2.3 to 3.10 write what is read here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "libproto/postfix_queue/records.h"

namespace postcot::postfix_queue {

struct Recipient {
    std::string address;
    std::string original;   // before rewriting; as in the file, so the same as `address` when nothing changed it
    std::string orcpt;      // RFC 3461 §4.2, xtext decoded: "rfc822;user@example.com"
    uint8_t notify = 0;     // 1 never, 2 success, 4 failure, 8 delay
    bool done = false;      // delivered or returned: not to be delivered again
    uint64_t offset = 0;    // of its record
};

struct Message {
    int64_t arrival_seconds = 0;
    uint32_t arrival_microseconds = 0;
    int64_t create_seconds = 0;   // lifetime counts from here; 0: not in the file
    std::string sender;
    std::string full_name;
    std::string filter;     // "transport:nexthop"
    std::string redirect;   // REDIRECT action: goes here instead of to its recipients
    std::string verp;
    std::string envid;
    uint8_t ret = 0;   // 1 full, 2 headers
    bool smtputf8 = false;
    bool warned = false;        // the delay warning was sent
    int64_t warn_seconds = 0;   // when it is due; 0: none
    std::vector<Recipient> recipients;
    std::map<std::string, std::string> attributes;   // the others, as client_name

    const std::string& attribute(const std::string& name) const;   // empty when not there
    // trace_flags
    static constexpr unsigned kVerifyForServer = 1 << 8;   // reject_unverified_recipient's probe
    static constexpr unsigned kVerifyForUser = 1 << 9;     // sendmail -bv
    unsigned trace_flags() const;
};

struct Limits {
    size_t recipients = 1000000;
    size_t attributes = 1000;
};

// Gives the content to `content` piece by piece, with LF line ends. EPROTO: the file is damaged; what `content` fails with is passed on.
Expected<Message> read_message(Source& source, const std::function<Expected<void>(std::string_view)>& content,
                               const Limits& limits = {});

// Does a file begin as one of Postfix's?
bool looks_like_message(std::string_view start);

}   // namespace postcot::postfix_queue
