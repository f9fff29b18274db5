#include "smtpd/log_destination.h"

namespace postcot::smtpd {

log::Destination log_destination(const config::MainCf& main) {
    log::Destination out;
    const auto file = main.str("maillog_file");
    if (file.empty()) {
        out.kind = log::Destination::Kind::kSyslog;
    } else if (file == "/dev/stdout") {
        out.kind = log::Destination::Kind::kStderr;
    } else {
        out.kind = log::Destination::Kind::kFile;
        out.path = file;
    }
    return out;
}

}   // namespace postcot::smtpd
