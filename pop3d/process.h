// A session process of pop3d.
#pragma once

#include <memory>

#include "libproto/login/service.h"

namespace postcot::pop3d {

std::unique_ptr<login::SessionProcess> make_session_process(const config::DovecotConf& conf);

}   // namespace postcot::pop3d
