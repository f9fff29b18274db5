// RFC 5321 §4.4: trace headers, in Postfix's layout. LF line ends.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace postcot::smtp {

struct ReceivedFacts {
    std::string helo_name;        // empty: the client's name stands in
    std::string client_name;      // "unknown" when there is none
    std::string client_address;   // without brackets; IPv6 gets its tag
    bool tls = false;
    std::string tls_protocol, tls_cipher;
    int tls_bits = 0, tls_algorithm_bits = 0;
    std::string tls_signatures;   // "key-exchange X25519 server-signature ...", with TLS 1.3
    bool tls_asked_client_cert = false;
    std::string sasl_username;   // shown when not empty (smtpd_sasl_authenticated_header)
    std::string my_hostname, mail_name;
    std::string protocol;   // with_protocol()
    std::string queue_id;
    std::string recipient;   // external form; only when it is the only one
    std::time_t time = 0;
};

std::string received_header(const ReceivedFacts& facts);
// What pickup(8) writes for a local submission.
std::string received_header_local(std::string_view my_hostname, std::string_view mail_name, unsigned uid,
                                  std::string_view queue_id, std::time_t time);

// RFC 3848, RFC 6531 §4.3: SMTP, ESMTP, ESMTPSA, UTF8SMTPS, LMTPA ...
std::string with_protocol(bool lmtp, bool extended, bool tls, bool authenticated, bool smtputf8);

// RFC 5322 §3.3 in local time, with Postfix's zone comment: "Tue, 24 Nov 2026 08:15:56 +0000 (UTC)".
std::string mail_date(std::time_t time);
// "20261124081556.QUEUEID@host" in <>: what cleanup(8) gives a message without one.
std::string make_message_id(std::string_view queue_id, std::string_view my_hostname, std::time_t time);

}   // namespace postcot::smtp
