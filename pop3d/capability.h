// CAPA (RFC 2449): the multi-line reply, before and after login.
#pragma once

#include <string>

#include "libproto/login/front_client.h"

namespace postcot::pop3d {

std::string capabilities_before_login(login::FrontClient& client);
std::string capabilities_after_login();

}   // namespace postcot::pop3d
