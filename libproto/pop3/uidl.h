// pop3_uidl_format: what UIDL shows of a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::pop3 {

struct UidlParts {
    uint32_t uid = 0;
    uint32_t uid_validity = 0;
    std::string guid;   // %g, and %f: the file's base name
};

// Dovecot's variables %u (uid), %v (uidvalidity), %f (filename) and %g (guid) with its modifiers, and 2.4's
// "%{uid | hex(8)}". The default is "%08Xu%08Xv". Errors name what is not understood.
Expected<std::string> format_uidl(std::string_view format, const UidlParts& parts);

}   // namespace postcot::pop3
