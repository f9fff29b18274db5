#include "pop3d/settings.h"

#include <cerrno>

#include "libmaildir/options.h"
#include "libproto/pop3/uidl.h"

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

Expected<void> check_settings(const config::DovecotConf& conf) {
    if (auto locations = maildir::check_locations(conf, "pop3"); !locations) return locations;
    pop3::UidlParts any;
    any.uid = any.uid_validity = 1;
    any.guid = "1.M1.host";
    auto uidl = pop3::format_uidl(conf.str("pop3_uidl_format", "pop3"), any);
    if (uidl && !uidl->empty()) return {};
    std::string why = uidl ? "pop3_uidl_format: gives an empty UIDL" : uidl.error().text;
    return fail(EINVAL, "Error in configuration: " + conf.where("pop3_uidl_format") + ": " + why);
}

}   // namespace postcot::pop3d
