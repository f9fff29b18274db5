// A session process of imapd: the owners it has, their stores, and one inotify instance.
#pragma once

#include <memory>

#include "libproto/login/service.h"

namespace postcot::imapd {

std::unique_ptr<login::SessionProcess> make_session_process(const config::DovecotConf& conf);

}   // namespace postcot::imapd
