// RFC 3464 delivery status notifications in Postfix's form (bounce(5), bounce(8)). Pure: facts in, a message with LF
// line ends out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/error.h"
#include "libproto/ipc/envelope.h"

namespace postcot::queued {

enum class DsnKind {
    kFailure,
    kDelay,
    kSuccess,   // also for "relayed" and "expanded"
    kVerify,    // sendmail -bv, -v
};

struct DsnRecipient {
    std::string address;      // final recipient
    std::string original;     // envelope's first form when it differs (orig_to)
    std::string orcpt;        // RFC 3461 "rfc822;user@example.com", decoded; empty: made from `original`
    std::string action;       // "failed", "delayed", "delivered", "relayed", "expanded", "deliverable", "undeliverable"
    std::string status;       // RFC 3463
    std::string text;         // why, as in the log's status=...(text)
    std::string remote_mta;   // "dns; mx.example.com" or empty
    std::string diagnostic;   // "smtp; 550 ..." or empty: "x-postfix; <text>"
};

// bounce_template_file, expanded for this host once per reload.
struct DsnTemplate {
    std::string charset = "us-ascii";
    std::string from;   // "MAILER-DAEMON (Mail Delivery System)"
    std::string subject;
    std::string postmaster_subject;   // failure and delay
    std::string text;                 // expanded: no $ left; LF line ends
};
struct DsnTemplates {
    DsnTemplate failure, delay, success, verify;
};

// What main.cf says that ends up in a DSN.
struct DsnSettings {
    std::string myhostname;
    std::string mydomain;
    std::string myorigin;
    std::chrono::seconds delay_warning_time{0};
    std::chrono::seconds maximal_queue_lifetime{0};
    std::string mail_name = "Postfix";
    bool smtputf8_enable = true;   // texts are utf-8, parts 8bit
};

// Built-in texts, and what `template_file_text` (bounce_template_file's content, may be empty) replaces. $name in a
// text is asked of `expand`, which gets names other than the four special ones of bounce(5).
class TemplateExpander {
  public:
    virtual ~TemplateExpander() = default;
    virtual std::string value(std::string_view name) const = 0;
};
Expected<DsnTemplates> load_templates(std::string_view template_file_text, const DsnSettings& settings,
                                      const TemplateExpander* expander);
// The built-in template as a file would have it: what `postconf -d`-like tools print.
std::string default_template_text(DsnKind kind);

struct DsnInput {
    DsnKind kind = DsnKind::kFailure;
    bool postmaster_copy = false;   // notify_classes: "Postmaster Copy: ..." without the text, headers only
    std::string dsn_queue_id;       // of the notification itself
    int64_t now_seconds = 0;
    std::string to;   // who gets it: the sender, or bounce_notice_recipient ...

    std::string queue_id;   // of the message it is about
    std::string sender;     // its envelope sender; empty for <>
    std::string envid;
    ipc::Ret ret = ipc::Ret::kUnset;
    bool smtputf8 = false;
    int64_t arrival_seconds = 0;
    int64_t retry_until_seconds = 0;   // kDelay: Will-Retry-Until; 0: left out
    std::vector<DsnRecipient> recipients;

    // The message, whole when it is at most bounce_size_limit octets; else (or with RET=HDRS, for delay and success)
    // its headers are taken from this prefix.
    std::string_view original;
    uint64_t original_size = 0;
    uint64_t bounce_size_limit = 50000;
};

// Header fields (Date, From, Subject, To, Auto-Submitted, MIME ..., Message-Id) and the multipart/report body. Without
// a Received field: whoever queues it adds that.
std::string compose_dsn(const DsnInput& input, const DsnTemplates& templates, const DsnSettings& settings);

// "Tue, 24 Nov 2026 08:15:55 +0000 (UTC)", in the process's time zone, as Postfix's mail_date().
std::string mail_date(int64_t seconds);

}   // namespace postcot::queued
