#include "libproto/sasl/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "libproto/sasl/base64.h"

namespace postcot::sasl {

namespace {

enum class Encoding { kNone, kBase64, kHex };

struct Scheme {
    const char* name;
    enum class Kind { kPlain, kCrypt, kDigest, kSaltedDigest } kind;
    Encoding encoding;    // when none is named
    const char* digest;   // OpenSSL's name, or crypt(3)'s prefix
    size_t digest_size;
};

using Kind = Scheme::Kind;
constexpr Scheme kSchemes[] = {
    {"PLAIN", Kind::kPlain, Encoding::kNone, "", 0},
    {"CLEAR", Kind::kPlain, Encoding::kNone, "", 0},
    {"CLEARTEXT", Kind::kPlain, Encoding::kNone, "", 0},
    {"CRYPT", Kind::kCrypt, Encoding::kNone, "$2y$", 0},
    {"DES-CRYPT", Kind::kCrypt, Encoding::kNone, "", 0},
    {"MD5-CRYPT", Kind::kCrypt, Encoding::kNone, "$1$", 0},
    {"MD5", Kind::kCrypt, Encoding::kNone, "$1$", 0},
    {"BLF-CRYPT", Kind::kCrypt, Encoding::kNone, "$2y$", 0},
    {"SHA256-CRYPT", Kind::kCrypt, Encoding::kNone, "$5$", 0},
    {"SHA512-CRYPT", Kind::kCrypt, Encoding::kNone, "$6$", 0},
    {"SHA", Kind::kDigest, Encoding::kBase64, "SHA1", 20},
    {"SHA1", Kind::kDigest, Encoding::kBase64, "SHA1", 20},
    {"SHA256", Kind::kDigest, Encoding::kBase64, "SHA256", 32},
    {"SHA512", Kind::kDigest, Encoding::kBase64, "SHA512", 64},
    {"SSHA", Kind::kSaltedDigest, Encoding::kBase64, "SHA1", 20},
    {"SSHA256", Kind::kSaltedDigest, Encoding::kBase64, "SHA256", 32},
    {"SSHA512", Kind::kSaltedDigest, Encoding::kBase64, "SHA512", 64},
    {"SMD5", Kind::kSaltedDigest, Encoding::kBase64, "MD5", 16},
    {"PLAIN-MD5", Kind::kDigest, Encoding::kHex, "MD5", 16},
    {"LDAP-MD5", Kind::kDigest, Encoding::kBase64, "MD5", 16},
};

std::string upper(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return out;
}

const Scheme* find_scheme(std::string_view name, Encoding& encoding) {
    std::string wanted = upper(name);
    encoding = Encoding::kNone;
    if (auto dot = wanted.find('.'); dot != std::string::npos) {
        std::string suffix = wanted.substr(dot + 1);
        if (suffix == "B64" || suffix == "BASE64")
            encoding = Encoding::kBase64;
        else if (suffix == "HEX")
            encoding = Encoding::kHex;
        else
            return nullptr;
        wanted.resize(dot);
    }
    for (const auto& scheme : kSchemes) {
        if (wanted == scheme.name) return &scheme;
    }
    return nullptr;
}

std::optional<std::string> hex_decode(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string out;
    for (size_t i = 0; i < text.size(); i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high << 4 | low);
    }
    return out;
}

std::string hex_encode(std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (char c : bytes) {
        out += kDigits[static_cast<unsigned char>(c) >> 4];
        out += kDigits[static_cast<unsigned char>(c) & 15];
    }
    return out;
}

std::optional<std::string> decode(std::string_view data, const Scheme& scheme, Encoding named) {
    if (named == Encoding::kHex) return hex_decode(data);
    if (named == Encoding::kBase64) return base64_decode(data);
    if (scheme.encoding == Encoding::kNone) return std::string(data);
    // Dovecot: digests without a named encoding are hex if they have exactly that length, else base64.
    if (data.size() == scheme.digest_size * 2) {
        if (auto bytes = hex_decode(data)) return bytes;
    }
    return base64_decode(data);
}

std::optional<std::string> digest(const char* name, std::string_view a, std::string_view b) {
    const EVP_MD* algorithm = EVP_get_digestbyname(name);
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!algorithm || !context || !EVP_DigestInit_ex(context.get(), algorithm, nullptr) ||
        !EVP_DigestUpdate(context.get(), a.data(), a.size()) || !EVP_DigestUpdate(context.get(), b.data(), b.size()) ||
        !EVP_DigestFinal_ex(context.get(), out, &size)) {
        return std::nullopt;
    }
    return std::string(reinterpret_cast<const char*>(out), size);
}

// crypt(3) of libxcrypt; nullopt where it refuses the setting.
std::optional<std::string> crypt_with(std::string_view plain, const std::string& setting) {
    auto data = std::make_unique<struct crypt_data>();
    std::string phrase(plain);
    const char* hash = crypt_r(phrase.c_str(), setting.c_str(), data.get());
    OPENSSL_cleanse(phrase.data(), phrase.size());
    if (!hash || hash[0] == '*') return std::nullopt;
    return std::string(hash);
}

}   // namespace

bool same_bytes(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::pair<std::string, std::string> split_scheme(std::string_view stored, std::string_view default_scheme) {
    if (!stored.empty() && stored[0] == '{') {
        if (auto end = stored.find('}'); end != std::string_view::npos) {
            return {upper(stored.substr(1, end - 1)), std::string(stored.substr(end + 1))};
        }
    }
    return {upper(default_scheme), std::string(stored)};
}

Expected<bool> verify_password(std::string_view plain, std::string_view stored, std::string_view default_scheme) {
    auto [name, data] = split_scheme(stored, default_scheme);
    Encoding named;
    const Scheme* scheme = find_scheme(name, named);
    if (!scheme) return fail(0, "Unknown scheme " + name);
    if (plain.find('\0') != std::string_view::npos) return false;
    auto bytes = decode(data, *scheme, named);
    if (!bytes) return fail(0, "Password data is not valid for scheme " + name);
    switch (scheme->kind) {
        case Kind::kPlain: return same_bytes(plain, *bytes);
        case Kind::kCrypt: {
            if (bytes->empty()) return false;   // an empty field in shadow(5) opens nothing here
            auto hash = crypt_with(plain, *bytes);
            return hash && same_bytes(*hash, *bytes);
        }
        case Kind::kDigest:
        case Kind::kSaltedDigest: {
            size_t size = scheme->digest_size;
            bool salted = scheme->kind == Kind::kSaltedDigest;
            if (bytes->size() < size || (!salted && bytes->size() != size)) {
                return fail(0, "Password data is not valid for scheme " + name);
            }
            auto computed = digest(scheme->digest, plain, std::string_view(*bytes).substr(size));
            if (!computed) return fail(0, "The system's crypto policy does not allow scheme " + name);
            return same_bytes(*computed, std::string_view(*bytes).substr(0, size));
        }
    }
    return false;
}

Expected<std::string> make_password(std::string_view scheme_name, std::string_view plain, std::string_view random,
                                    unsigned rounds) {
    Encoding named;
    const Scheme* scheme = find_scheme(scheme_name, named);
    if (!scheme) return fail(0, "Unknown scheme: " + std::string(scheme_name));
    if (random.size() < 16) return fail(0, "not enough random octets for a salt");
    if (plain.find('\0') != std::string_view::npos) return fail(0, "a password cannot hold NUL");
    std::string bytes;
    switch (scheme->kind) {
        case Kind::kPlain: bytes = plain; break;
        case Kind::kCrypt: {
            char setting[CRYPT_GENSALT_OUTPUT_SIZE];
            if (!crypt_gensalt_rn(scheme->digest, rounds, random.data(),
                                  static_cast<int>(std::min<size_t>(random.size(), 64)), setting, sizeof setting)) {
                return fail(0, "crypt(3) does not support scheme " + std::string(scheme->name) + " with these rounds");
            }
            auto hash = crypt_with(plain, setting);
            if (!hash) return fail(0, "crypt(3) does not support scheme " + std::string(scheme->name));
            bytes = *hash;
            break;
        }
        case Kind::kDigest:
        case Kind::kSaltedDigest: {
            std::string_view salt;
            if (scheme->kind == Kind::kSaltedDigest) salt = random.substr(0, 4);
            if (scheme->kind == Kind::kSaltedDigest && scheme->digest_size > 20) salt = random.substr(0, 16);
            auto computed = digest(scheme->digest, plain, salt);
            if (!computed)
                return fail(0, "The system's crypto policy does not allow scheme " + std::string(scheme->name));
            bytes = *computed + std::string(salt);
            break;
        }
    }
    Encoding encoding = named == Encoding::kNone ? scheme->encoding : named;
    std::string data = encoding == Encoding::kBase64 ? base64_encode(bytes)
                       : encoding == Encoding::kHex  ? hex_encode(bytes)
                                                     : bytes;
    return "{" + upper(scheme_name) + "}" + data;
}

std::vector<std::string> password_schemes() {
    std::vector<std::string> names;
    for (const auto& scheme : kSchemes) names.emplace_back(scheme.name);
    return names;
}

}   // namespace postcot::sasl
