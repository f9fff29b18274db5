// RFC 3461 §4: xtext, in which ENVID, ORCPT and AUTH= travel.
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::smtp {

std::string encode_xtext(std::string_view text);
// 501 5.5.4 on a bad escape or an octet that xtext may not hold.
Expected<std::string> decode_xtext(std::string_view text);
// RFC 6533 §3: ORCPT=utf-8;... in its utf-8-addr-xtext and utf-8-addr-unitext forms.
Expected<std::string> decode_utf8_xtext(std::string_view text);

}   // namespace postcot::smtp
