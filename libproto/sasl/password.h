// Stored passwords in Dovecot's notation "{SCHEME}data" or "{SCHEME.b64}data", "{SCHEME.hex}data".
//
// PLAIN CLEAR CLEARTEXT; CRYPT and the crypt(3) family by name (DES-CRYPT MD5-CRYPT MD5 BLF-CRYPT SHA256-CRYPT
// SHA512-CRYPT); SHA SHA1 SHA256 SHA512 and, with a salt after the digest, SSHA SSHA256 SSHA512 SMD5; PLAIN-MD5
// LDAP-MD5. Comparisons take the same time wherever the first difference is. Pure, but a crypt(3) may take 100 ms and
// more: call verify and make from a worker thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libproto/error.h"

namespace postcot::sasl {

// "{SSHA.hex}abc" -> {"SSHA.HEX", "abc"}; without a scheme -> {default_scheme, stored}.
std::pair<std::string, std::string> split_scheme(std::string_view stored, std::string_view default_scheme);

// Errors: unknown scheme, data that is not of the scheme. Never true then.
Expected<bool> verify_password(std::string_view plain, std::string_view stored, std::string_view default_scheme);

// "{SCHEME}data". `random` gives the salt: at least 16 octets. `rounds` for BLF-CRYPT (4..31) and SHA*-CRYPT
// (1000..999999999); 0: the default.
Expected<std::string> make_password(std::string_view scheme, std::string_view plain, std::string_view random,
                                    unsigned rounds = 0);

std::vector<std::string> password_schemes();

bool same_bytes(std::string_view a, std::string_view b);   // constant time for equal lengths

}   // namespace postcot::sasl
