// RFC 1939 §4: the AUTHORIZATION state, in a front process.
#pragma once

#include "libproto/login/front_client.h"

namespace postcot::pop3d {

Task<void> before_login(login::FrontClient& client);

}   // namespace postcot::pop3d
