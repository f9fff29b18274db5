// RFC 3501 §3.1: the not authenticated state, in a front process.
#pragma once

#include "libproto/login/front_client.h"

namespace postcot::imapd {

Task<void> before_login(login::FrontClient& client);

}   // namespace postcot::imapd
