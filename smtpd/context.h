// What is known about a client and the message it is sending: what restrictions look at and log lines say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libproto/smtp/parameters.h"
#include "libproto/smtp/path.h"
#include "smtpd/service.h"

namespace postcot::smtpd {

enum class Lookup : uint8_t { kOk, kTemporary, kPermanent };   // 2, 4, 5 in Postfix's name_status

struct Client {
    std::string name = "unknown";           // verified: its address is among the name's addresses
    std::string reverse_name = "unknown";   // what the PTR record says
    Lookup name_status = Lookup::kPermanent;
    Lookup reverse_status = Lookup::kPermanent;
    std::string address;   // "127.0.0.1", "2001:db8::1"; "unknown" for Unix sockets
    std::string port;
    std::string local_address, local_port;

    std::string name_address() const { return name + '[' + address + ']'; }   // as every log line says it
};

// What access(5) actions and policy services ask for besides a verdict.
struct Effects {
    bool hold = false;
    bool discard = false;
    std::string filter;
    std::string redirect;
    std::vector<std::string> bcc;
    std::vector<std::string> prepend;   // header lines, without line end
};

struct RecipientFacts {
    std::string address;   // internal form, in standard form
    std::string given;     // external form as the client sent it
    smtp::RcptParameters parameters;
};

// A deferral that waits for the verdict of the whole evaluation (defer_if_permit, defer_if_reject).
struct Deferred {
    bool active = false;
    int code = 0;
    std::string enhanced, text;
};

struct Context {
    const Service* service = nullptr;
    Client client;
    std::string helo_name;
    bool extended = false;   // EHLO or LHLO
    bool tls = false;
    std::string tls_protocol, tls_cipher;   // empty in the clear
    int tls_bits = 0;
    std::string sasl_method, sasl_username, sasl_sender;
    bool pipelined = false;   // more input waits where none may (reject_unauth_pipelining)

    // The transaction; sender_given says there is one.
    bool in_transaction = false;
    std::string sender;   // internal form
    smtp::MailParameters mail;
    std::string recipient;   // the one being checked, internal form
    size_t recipient_count = 0;
    std::string etrn_domain;
    std::string queue_id;   // empty before the first accepted recipient: NOQUEUE
    uint64_t size = 0;
    Effects effects;

    std::string protocol() const;   // "SMTP", "ESMTP", "LMTP": proto= in logs
};

}   // namespace postcot::smtpd
