// What cleanup(8) does when a message enters the queue: envelope addresses through canonical and virtual alias maps, bcc, missing header fields,
// header addresses of local clients, Bcc and Return-Path dropped, hop count. Given the start of the text; the body is never touched.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/address/expand.h"
#include "libproto/config/filters.h"
#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/ipc/envelope.h"

namespace postcot::queued {

struct CleanupInput {
    std::string queue_id;
    ipc::Envelope envelope;
    std::string_view text;             // from the start of the message; at least its header
    bool extract_recipients = false;   // sendmail -t
    std::string full_name;             // sendmail -F
    std::string received;              // field to put first, without line end ("Received: by ..."); empty: smtpd did
    bool bounce_refused =
        false;   // nobody waits for a reply: what is wrong with the message comes back in CleanupOutput::refused
    bool internal = false;            // bounces: no maps but virtual aliases, no bcc, nothing logged but message-id
    bool internal_filtered = false;   // ... that internal_mail_filter_classes names
};

struct CleanupOutput {
    ipc::Envelope envelope;   // rewritten and expanded
    bool changed = false;
    std::string header;   // when changed: to be stored in place of the first `replaced` octets
    size_t replaced = 0;
    std::string message_id;   // for the log; empty when there is none
    Error refused;            // code 0: nothing is wrong
};

class Cleanup {
  public:
    // `main` with the -o settings of the cleanup service.
    static Expected<std::unique_ptr<Cleanup>> open(const config::MainCf& main);
    // Errors carry the SMTP reply.
    Expected<CleanupOutput> run(CleanupInput input) const;
    const address::Resolver& resolver() const { return rules_->resolver(); }
    const address::Cleanup& rules() const { return *rules_; }
    uint64_t message_size_limit() const { return message_size_limit_; }   // 0: none
    const std::string& ident() const { return ident_; }                   // "postfix/cleanup"
    // The filter that was to see a message of this envelope and that nobody runs. smtpd answered for its milters itself.
    config::MissingFilter missing_filter(const ipc::Envelope& envelope) const;

  private:
    Cleanup() = default;
    Expected<void> recipients(CleanupInput& input, CleanupOutput& out) const;

    std::shared_ptr<const address::Cleanup> rules_;
    config::MissingFilter checks_, milter_;
    uint64_t message_size_limit_ = 0;
    size_t header_size_limit_ = 102400;
    std::string ident_;
    std::string hostname_;
    std::string mail_name_;
    std::string undisclosed_;
    std::vector<std::string> drop_headers_;
    bool always_add_missing_ = false;
    bool long_queue_ids_ = false;
    bool keep_original_ = true;
    size_t hop_limit_ = 50;
    size_t duplicate_limit_ = 1000;
};

}   // namespace postcot::queued
