// The client's side of SASL mechanisms that need only a name and a password. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::queued {

struct SaslSecret {
    std::string user;
    std::string password;
};
// "user:password" of smtp_sasl_password_maps.
std::optional<SaslSecret> parse_sasl_secret(std::string_view text);

// The best of what the server offers that `options` (noplaintext, noanonymous ...) and `filter` (smtp_sasl_mechanism_filter: names, "!name"; empty: all) allow:
// CRAM-MD5, PLAIN, LOGIN. Empty: none.
std::string choose_mechanism(const std::vector<std::string>& offered, const std::vector<std::string>& options,
                             const std::vector<std::string>& filter);

class SaslClient {
  public:
    SaslClient(std::string mechanism, SaslSecret secret)
        : mechanism_(std::move(mechanism)), secret_(std::move(secret)) {}
    // Sent with AUTH (RFC 4954 §4), not encoded; nullopt: the mechanism waits for the server.
    std::optional<std::string> initial() const;
    // Answer to a decoded challenge; nullopt: more challenges than the mechanism has.
    std::optional<std::string> step(std::string_view challenge);

  private:
    std::string mechanism_;
    SaslSecret secret_;
    int steps_ = 0;
};

}   // namespace postcot::queued
