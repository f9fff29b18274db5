#include "libproto/error.h"

#include <cstring>

namespace postcot {

tl::unexpected<Error> fail_errno(int errnum, std::string_view what) {
    std::string text(what);
    text += ": ";
    text += std::strerror(errnum);
    return fail(errnum, std::move(text));
}

}   // namespace postcot
