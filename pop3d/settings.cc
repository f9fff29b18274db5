#include "pop3d/settings.h"

namespace postcot::pop3d {

Settings::Settings(const config::DovecotConf& from) : conf(from) {
    uidl_format = conf.str("pop3_uidl_format", "pop3");
    logout_format = conf.str("pop3_logout_format", "pop3");
    lock_session = conf.boolean("pop3_lock_session", "pop3");
    flag_updates = !conf.boolean("pop3_no_flag_updates", "pop3");
    for (const std::string& workaround : conf.list("pop3_client_workarounds", "pop3")) {
        if (workaround == "outlook-no-nuls") no_nuls = true;
        if (workaround == "oe-ns-eoh") end_of_header = true;
    }
}

}   // namespace postcot::pop3d
