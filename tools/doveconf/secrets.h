// What doveconf hides without -P.
#pragma once

#include <string>
#include <string_view>

namespace postcot::doveconf {

// The whole value of a setting with this name: ssl_key, doveadm_password, auth_policy_hash_nonce ...
bool is_secret(std::string_view setting);

// Secrets within a value, args = host=x password=y, http://user:password@host: "#hidden_use-P_to_show#" in their place.
std::string without_secrets(std::string_view value);

}   // namespace postcot::doveconf
