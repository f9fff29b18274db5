// The dovecot.conf settings an IMAP session looks at, read once per process.
#pragma once

#include <cstdint>
#include <string>

#include "libproto/config/dovecot.h"
#include "libproto/runtime/loop.h"

namespace postcot::imapd {

struct Settings {
    explicit Settings(const config::DovecotConf& conf);
    config::DovecotConf conf;
    std::string capability;
    size_t max_line = 64 * 1024;         // imap_max_line_length
    Millis idle_notify{120'000};         // imap_idle_notify_interval
    Millis mailbox_idle_check{30'000};   // mailbox_idle_check_interval: polling, where inotify is not to be had
    std::string logout_format;           // imap_logout_format
    std::string id_send;                 // imap_id_send
    std::string id_log;                  // imap_id_log
    size_t max_keyword_length = 50;      // mail_max_keyword_length
};

// Dovecot's own.
inline constexpr Millis kInactivity{30 * 60'000};
inline constexpr Millis kOutputTimeout{5 * 60'000};
inline constexpr int kMaxBadCommands = 20;
// One message of APPEND.
inline constexpr uint64_t kMaxMessage = uint64_t{2} << 30;

}   // namespace postcot::imapd
