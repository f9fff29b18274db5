// doveadm pw: makes and checks stored passwords.
#include <sys/random.h>

#include <cstdio>

#include "libproto/sasl/password.h"
#include "tools/doveadm/doveadm.h"

namespace postcot::doveadm {

int pw(Context&, const Arguments& arguments) {
    const char* usage = "pw [-l] [-p plaintext] [-r rounds] [-s scheme] [-t hash] [-u user] [-V]";
    Options options;
    if (!parse_options(arguments, "lV", "prstu", usage, options)) return EX_USAGE;
    if (options.has('l')) {
        for (const auto& name : sasl::password_schemes()) std::printf("%s ", name.c_str());
        std::printf("\n");
        return 0;
    }
    if (!options.rest.empty()) {
        std::fprintf(stderr, "usage: doveadm %s\n", usage);
        return EX_USAGE;
    }
    std::string plain = options.value('p');
    if (!options.has('p')) {
        auto first = ask_password(options.has('t') ? "Enter password to verify: " : "Enter new password: ");
        if (!first) {
            error("password is missing");
            return EX_USAGE;
        }
        if (!options.has('t')) {
            auto second = ask_password("Retype new password: ");
            if (!second || *second != *first) {
                std::fprintf(stderr, "Passwords don't match!\n");
                return EX_DATAERR;
            }
        }
        plain = *first;
    }
    if (options.has('t')) {
        std::string stored = options.value('t');
        auto right = sasl::verify_password(plain, stored, "CRYPT");
        if (!right || !*right) {
            std::fprintf(stderr, "Fatal: reverse password verification check failed: %s\n",
                         right ? "Password mismatch" : right.error().text.c_str());
            return EX_TEMPFAIL;
        }
        std::printf("%s (verified)\n", stored.c_str());
        return 0;
    }
    char random[64];
    if (getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
        error("getrandom() failed");
        return EX_OSERR;
    }
    std::string scheme = options.has('s') ? options.value('s') : "CRYPT";
    unsigned rounds =
        options.has('r') ? static_cast<unsigned>(std::strtoul(options.value('r').c_str(), nullptr, 10)) : 0;
    auto made = sasl::make_password(scheme, plain, std::string_view(random, sizeof random), rounds);
    if (!made) {
        std::fprintf(stderr, "Fatal: %s\n", made.error().text.c_str());
        return EX_TEMPFAIL;
    }
    if (options.has('V')) {
        auto right = sasl::verify_password(plain, *made, scheme);
        if (!right || !*right) {
            std::fprintf(stderr, "Fatal: reverse password verification check failed\n");
            return EX_TEMPFAIL;
        }
        std::printf("%s (verified)\n", made->c_str());
        return 0;
    }
    std::printf("%s\n", made->c_str());
    return 0;
}

}   // namespace postcot::doveadm
