// Postfix's cipher grades: smtpd_tls_ciphers = high, with smtpd_tls_exclude_ciphers = RC4, 3DES, as an OpenSSL cipher list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/error.h"

namespace postcot::config {

// Grades: high, medium, low, export, null (any case). The error names the grade; `exclude` are names for OpenSSL's "!".
Expected<std::string> cipher_list(const MainCf& main, std::string_view grade, const std::vector<std::string>& exclude);

// Where a service reads it: "smtpd_tls_ciphers", "smtpd_tls_exclude_ciphers" ...; the second pair counts where TLS is a must, together with the
// first exclusions.
struct CipherParameters {
    std::string grade, exclude, mandatory_grade, mandatory_exclude;
};
Expected<std::string> cipher_list_of(const MainCf& main, const CipherParameters& names, bool mandatory,
                                     std::vector<std::string> exclude = {});

}   // namespace postcot::config
