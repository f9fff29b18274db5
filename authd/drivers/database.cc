#include "authd/drivers/database.h"

#include <grp.h>
#include <pwd.h>

#include "authd/drivers/drivers.h"
#include "libproto/config/parameter.h"
#include "libproto/sasl/password.h"

namespace postcot::authd {

namespace {

bool all_digits(const std::string& text) {
    return !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string::npos;
}

// The service does not start: whose passwords are there could not log in, and whose mailboxes are there could not be found.
Error no_driver(const Database& database, const std::string& kind) {
    bool dovecots = config::is_one_of(
        database.driver,
        "bsdauth checkpassword dict gssapi imap imapc ldap lua nss oauth2 passwd shadow sia sql static vpopmail");
    std::string what = kind + " driver '" + database.driver + '\'';
    return {0, "", database.where + ": " + (dovecots ? what + " is not supported" : "Unknown " + what)};
}

}   // namespace

Expected<std::unique_ptr<PassDb>> open_passdb(const Database& database, WorkerPool* workers) {
    if (database.driver == "passwd-file") return open_passwd_file_passdb(database);
    if (database.driver == "static") return open_static_passdb(database);
    if (database.driver == "passwd") return open_passwd_passdb(database);
    if (database.driver == "pam" || database.driver == "shadow") {
        if (!workers) return fail(0, database.where + ": " + database.driver + " needs worker processes");
        return open_worker_passdb(database, *workers);
    }
    return fail(no_driver(database, "passdb"));
}

Expected<std::unique_ptr<UserDb>> open_userdb(const Database& database) {
    if (database.driver == "passwd-file") return open_passwd_file_userdb(database);
    if (database.driver == "static") return open_static_userdb(database);
    if (database.driver == "passwd") return open_passwd_userdb(database);
    if (database.driver == "prefetch") return open_prefetch_userdb(database);
    return fail(no_driver(database, "userdb"));
}

Expected<std::string> resolve_uid(const std::string& text) {
    if (all_digits(text)) return text;
    char buffer[16384];
    struct passwd entry, *found = nullptr;
    if (text.empty() || getpwnam_r(text.c_str(), &entry, buffer, sizeof buffer, &found) != 0 || !found) {
        return fail(0, "Invalid UID value '" + text + "'");
    }
    return std::to_string(found->pw_uid);
}

Expected<std::string> resolve_gid(const std::string& text) {
    if (all_digits(text)) return text;
    char buffer[16384];
    struct group entry, *found = nullptr;
    if (text.empty() || getgrnam_r(text.c_str(), &entry, buffer, sizeof buffer, &found) != 0 || !found) {
        return fail(0, "Invalid GID value '" + text + "'");
    }
    return std::to_string(found->gr_gid);
}

Task<Result> check_password(const Request& request, std::string who, std::string password, std::string stored,
                            std::string default_scheme) {
    std::string scheme = sasl::split_scheme(stored, default_scheme).first;
    Expected<bool> verdict = false;
    if (scheme.find("CRYPT") != std::string::npos || scheme == "MD5") {
        auto verify = [&password, &stored, &default_scheme] {
            return sasl::verify_password(password, stored, default_scheme);
        };
        verdict = co_await blocking(verify);
    } else {
        verdict = sasl::verify_password(password, stored, default_scheme);
    }
    if (!verdict) {
        request.log_error(who, verdict.error().text);
        co_return Result::kMismatch;   // as Dovecot: not a fault that goes away by waiting
    }
    if (*verdict) co_return Result::kOk;
    request.log_mismatch(who, password);
    co_return Result::kMismatch;
}

}   // namespace postcot::authd
