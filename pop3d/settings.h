// The pop3_* settings of dovecot.conf.
#pragma once

#include <string>

#include "libproto/config/dovecot.h"

namespace postcot::pop3d {

struct Settings {
    explicit Settings(const config::DovecotConf& from);
    const config::DovecotConf& conf;
    std::string uidl_format;      // pop3_uidl_format
    std::string logout_format;    // pop3_logout_format
    bool lock_session = false;    // pop3_lock_session
    bool flag_updates = true;     // not pop3_no_flag_updates
    bool no_nuls = false;         // pop3_client_workarounds = outlook-no-nuls
    bool end_of_header = false;   // pop3_client_workarounds = oe-ns-eoh
};

// What could not be done as configured: where mail is, and pop3_uidl_format. Names file and line.
Expected<void> check_settings(const config::DovecotConf& conf);

}   // namespace postcot::pop3d
