// Where log lines go: maillog_file, or syslog.
#pragma once

#include "libproto/config/postfix.h"
#include "libproto/runtime/log.h"

namespace postcot::smtpd {

log::Destination log_destination(const config::MainCf& main);

}   // namespace postcot::smtpd
