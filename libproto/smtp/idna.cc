#include "libproto/smtp/idna.h"

#include <idn2.h>

#include "libproto/smtp/text.h"

namespace postcot::smtp {

Expected<std::string> domain_to_ascii(std::string_view domain) {
    if (is_ascii(domain)) return lower(domain);
    if (!is_valid_utf8(domain) || domain.find('\0') != std::string_view::npos) {
        return fail(501, "5.1.2", "bad domain name syntax");
    }
    char* out = nullptr;
    const int rc = idn2_to_ascii_8z(std::string(domain).c_str(), &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc != IDN2_OK) return fail(501, "5.1.2", std::string("bad domain name syntax: ") + idn2_strerror(rc));
    std::string ascii(out);
    idn2_free(out);
    return ascii;
}

std::string domain_to_unicode(std::string_view domain) {
    if (domain.find('\0') != std::string_view::npos) return std::string(domain);
    char* out = nullptr;
    if (idn2_to_unicode_8z8z(std::string(domain).c_str(), &out, 0) != IDN2_OK) return std::string(domain);
    std::string unicode(out);
    idn2_free(out);
    return unicode;
}

}   // namespace postcot::smtp
