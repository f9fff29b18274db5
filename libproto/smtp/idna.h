// RFC 5891 through libidn2: U-labels to A-labels and back.
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::smtp {

// Lower-case A-label form; ASCII names pass through lower-cased without validation, "[...]" literals too.
// Error 501 5.1.2 when the name is not valid UTF-8 or breaks IDNA2008 (with UTS 46 non-transitional mapping).
Expected<std::string> domain_to_ascii(std::string_view domain);
// U-label form; what cannot be decoded is returned as it is.
std::string domain_to_unicode(std::string_view domain);

}   // namespace postcot::smtp
