#include "queued/remote/sasl.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "libproto/smtp/text.h"

namespace postcot::queued {

std::optional<SaslSecret> parse_sasl_secret(std::string_view text) {
    text = smtp::trim(text);
    size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    SaslSecret out;
    out.user = std::string(text.substr(0, colon));
    out.password = std::string(text.substr(colon + 1));
    return out;
}

std::string choose_mechanism(const std::vector<std::string>& offered, const std::vector<std::string>& options,
                             const std::vector<std::string>& filter) {
    bool no_plaintext = std::find(options.begin(), options.end(), "noplaintext") != options.end();
    for (std::string mechanism : {"CRAM-MD5", "PLAIN", "LOGIN"}) {
        if (no_plaintext && mechanism != "CRAM-MD5") continue;
        if (std::find(offered.begin(), offered.end(), mechanism) == offered.end()) continue;
        bool allowed = filter.empty();
        for (const auto& entry : filter) {
            bool negated = !entry.empty() && entry[0] == '!';
            if (smtp::equals_ignoring_case(entry.substr(negated ? 1 : 0), mechanism)) {
                allowed = !negated;
                break;
            }
        }
        if (allowed) return mechanism;
    }
    return {};
}

std::optional<std::string> SaslClient::initial() const {
    // RFC 4616: no authorisation identity of its own.
    if (mechanism_ == "PLAIN") return std::string(1, '\0') + secret_.user + '\0' + secret_.password;
    return std::nullopt;
}

std::optional<std::string> SaslClient::step(std::string_view challenge) {
    ++steps_;
    if (mechanism_ == "LOGIN") {
        if (steps_ == 1) return secret_.user;
        if (steps_ == 2) return secret_.password;
        return std::nullopt;
    }
    if (mechanism_ == "PLAIN" && steps_ == 1) return initial();
    if (mechanism_ == "CRAM-MD5" && steps_ == 1) {   // RFC 2195
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        if (!HMAC(EVP_md5(), secret_.password.data(), static_cast<int>(secret_.password.size()),
                  reinterpret_cast<const unsigned char*>(challenge.data()), challenge.size(), digest, &length))
            return std::nullopt;
        std::string out = secret_.user + " ";
        for (unsigned i = 0; i < length; ++i) out += fmt::format("{:02x}", digest[i]);
        return out;
    }
    return std::nullopt;
}

}   // namespace postcot::queued
