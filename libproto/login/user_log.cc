#include "libproto/login/user_log.h"

namespace postcot::login {

namespace {
std::string& own_prefix() {
    static std::string prefix;   // the log's destination is the process's, and so is this
    return prefix;
}
}   // namespace

void set_process_prefix(std::string prefix) {
    own_prefix() = prefix;
    log::set_prefix(std::move(prefix));
}

void user_log(const std::string& prefix, log::Level level, std::string_view text) {
    log::set_prefix(prefix);
    log::write(level, text);
    log::set_prefix(own_prefix());
}

}   // namespace postcot::login
