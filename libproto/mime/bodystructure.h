// RFC 3501 §7.4.2 BODY and BODYSTRUCTURE in wire form.
#pragma once

#include <string>
#include <string_view>

#include "libproto/mime/message.h"

namespace postcot::mime {

// `text` is the whole message that `part` was parsed from.
void append_bodystructure(std::string& out, std::string_view text, const Part& part, bool extended);

}   // namespace postcot::mime
