#include "imapd/settings.h"

#include "imapd/capability.h"

namespace postcot::imapd {

Settings::Settings(const config::DovecotConf& from) : conf(from), capability(capability_after_login(from)) {
    if (uint64_t line = conf.size("imap_max_line_length", "imap"); line > 0) max_line = static_cast<size_t>(line);
    if (auto interval = conf.time("imap_idle_notify_interval", "imap"); interval.count() > 0) idle_notify = interval;
    if (auto interval = conf.time("mailbox_idle_check_interval", "imap"); interval.count() > 0)
        mailbox_idle_check = interval;
    logout_format = conf.str("imap_logout_format", "imap");
    id_send = conf.str("imap_id_send", "imap");
    id_log = conf.str("imap_id_log", "imap");
    if (int64_t length = conf.integer("mail_max_keyword_length", "imap"); length > 0)
        max_keyword_length = static_cast<size_t>(length);
}

}   // namespace postcot::imapd
