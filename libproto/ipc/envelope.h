// The envelope of a message, as smtpd, queued and the delivery agents pass it. Addresses are in the internal form that tables and queue files hold:
// local@domain without <> and without quotes (smtp::to_external() gives the wire form); an empty sender is the null
// reverse-path. Domains of non-ASCII addresses may be U-labels (SMTPUTF8).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/ipc/codec.h"

namespace postcot::ipc {

// RFC 3461 §4.1: 0 means the sender did not say (as FAILURE and DELAY).
inline constexpr uint8_t kNotifyNever = 1;
inline constexpr uint8_t kNotifySuccess = 2;
inline constexpr uint8_t kNotifyFailure = 4;
inline constexpr uint8_t kNotifyDelay = 8;

enum class Ret : uint8_t { kUnset, kFull, kHeaders };                      // RFC 3461 §4.3
enum class BodyType : uint8_t { kUnset, k7Bit, k8BitMime, kBinaryMime };   // RFC 6152, RFC 3030

struct Recipient {
    std::string address;
    std::string original;   // what the client gave, when rewriting changed it (log: orig_to=); else empty
    std::string orcpt;      // RFC 3461 §4.2 "rfc822;user@example.com", xtext decoded; empty when not given
    uint8_t notify = 0;

    void encode(Writer& w) const;
    static Recipient decode(Reader& r);
};

struct Envelope {
    std::string sender;
    Ret ret = Ret::kUnset;
    std::string envid;   // xtext decoded
    BodyType body = BodyType::kUnset;
    bool smtputf8 = false;
    bool requiretls = false;   // RFC 8689
    std::string verp;          // XVERP delimiters ("+="), empty: none
    std::string filter;        // content_filter or FILTER action: "transport:nexthop"
    bool no_rewrite = false;   // receive_override_options=no_address_mappings
    bool local_submission =
        false;   // pickup: add missing headers, rewrite header addresses (local_header_rewrite_clients)
    bool no_header_checks = false;   // receive_override_options=no_header_body_checks
    bool no_milters = false;         // receive_override_options=no_milters
    bool unfiltered = false;   // a filter was to see it that nobody could run: delivered when none is missing any more
    std::string cleanup_service;   // master.cf service that takes it into the queue (cleanup_service_name)
    bool hold = false;             // HOLD action
    bool verify = false;           // sendmail -bv: nothing is delivered, the sender gets a report
    std::vector<Recipient> recipients;

    int64_t arrival_seconds = 0;   // when the session began to give this message (delays= counts from here)
    uint32_t arrival_microseconds = 0;

    // What the log, XFORWARD and pipe(8) macros say about where it came from. All may be empty (local submission).
    std::string client_name;
    std::string client_address;
    std::string client_port;
    std::string helo_name;
    std::string protocol;   // "ESMTP", "LMTP", ...
    std::string sasl_method;
    std::string sasl_username;
    std::string sasl_sender;
    std::string log_ident;   // context of smtpd's own lines, for correlation; empty: none

    void encode(Writer& w) const;
    static Envelope decode(Reader& r);
};

}   // namespace postcot::ipc
