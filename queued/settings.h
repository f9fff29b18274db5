// What main.cf and master.cf say about the queue, read once per start or reload.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "libproto/config/filters.h"
#include "libproto/config/postfix.h"
#include "queued/scheduler/feedback.h"

namespace postcot::queued {

struct TransportSettings {
    enum class Agent { kLocal, kRemote, kUnknown } agent = Agent::kUnknown;
    std::string command;           // master.cf program: "smtp", "lmtp", "local", "virtual", "pipe", "error", ...
    std::string ident;             // "postfix/smtp": for its log lines; syslog_name and the program
    size_t process_limit = 100;    // deliveries under way at once, over all destinations
    size_t recipient_limit = 50;   // recipients in one delivery
    FeedbackSettings feedback;
    config::MissingFilter missing_filter;   // smtp_header_checks and the like
    std::chrono::seconds rate_delay{0};
    // One delivery slot of a mailbox transport takes this many messages: the agent writes and syncs them together.
    size_t batch = 1;
};

struct Settings {
    static Expected<Settings> read(const config::MainCf& main, const config::MasterCf& master);
    const TransportSettings& transport(const std::string& name) const;   // unknown: agent kUnknown

    std::string queue_directory;
    std::string hostname;
    std::string mail_name;
    std::string syslog_name;   // "postfix"
    std::string qmgr_ident, pickup_ident,
        bounce_ident;   // "postfix/qmgr" ...: with the syslog_name of their master.cf lines
    bool long_queue_ids = false;
    size_t active_limit = 20000;
    size_t active_recipient_limit = 20000;
    std::chrono::seconds queue_run_delay{300};
    std::chrono::seconds minimal_backoff{300};
    std::chrono::seconds maximal_backoff{4000};
    std::chrono::seconds maximal_lifetime{5 * 86400};
    std::chrono::seconds bounce_lifetime{5 * 86400};
    std::chrono::seconds delay_warning{0};
    uint64_t message_size_limit = 10240000;   // 0: none
    uint64_t minimum_free = 0;
    bool soft_bounce = false;
    std::set<std::string> defer_transports;
    // pickup(8)'s: what mail of this host meets.
    std::string content_filter;
    std::string pickup_cleanup_service;
    bool pickup_no_rewrite = false, pickup_no_header_checks = false, pickup_no_milters = false;
    std::set<std::string> internal_filter_classes;

    std::string double_bounce_sender;
    std::string bounce_notice_recipient, twobounce_notice_recipient, delay_notice_recipient, error_notice_recipient;
    std::set<std::string> notify_classes;
    uint64_t bounce_size_limit = 50000;
    int delay_digits = 2;   // delay_logging_resolution_limit
    bool empty_address_default_transport = false;

  private:
    std::map<std::string, TransportSettings> transports_;
};

}   // namespace postcot::queued
