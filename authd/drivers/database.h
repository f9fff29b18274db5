// What a passdb { } and a userdb { } of dovecot.conf become.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "authd/request.h"
#include "authd/settings.h"
#include "libproto/error.h"
#include "libproto/runtime/loop.h"

namespace postcot::authd {

class WorkerPool;

class PassDb {
  public:
    explicit PassDb(const Database& database) : database_(database) {}
    virtual ~PassDb() = default;
    // Is this the password of request.user? Adds fields to the request where it is. Logs why not.
    virtual Task<Result> verify(Request& request, std::string password) = 0;
    // The user's fields without a password check.
    virtual Task<Result> lookup(Request& request) = 0;

    const Database& database() const { return database_; }
    const std::string& name() const { return database_.driver; }

  private:
    const Database& database_;   // of the Settings, which outlive the databases
};

class UserDb {
  public:
    explicit UserDb(const Database& database) : database_(database) {}
    virtual ~UserDb() = default;
    // Adds uid, gid, home, mail ... to `out`. uid and gid are numbers.
    virtual Task<Result> lookup(Request& request, sasl::Fields& out) = 0;
    // Names of all users. ENOTSUP where the driver cannot know.
    virtual Task<Expected<std::vector<std::string>>> list(const Request& request) = 0;
    // True for static: that a user exists must be asked of the passdbs, where no login did.
    virtual bool needs_passdb_check() const { return false; }

    const Database& database() const { return database_; }
    const std::string& name() const { return database_.driver; }

  private:
    const Database& database_;
};

// By `database.driver`. Errors: unknown driver, bad args. `workers` may be null where no driver needs root.
Expected<std::unique_ptr<PassDb>> open_passdb(const Database& database, WorkerPool* workers);
Expected<std::unique_ptr<UserDb>> open_userdb(const Database& database);

// "vmail" or "5000" -> "5000".
Expected<std::string> resolve_uid(const std::string& text);
Expected<std::string> resolve_gid(const std::string& text);

// Compares with a stored password, on a worker thread for the slow schemes, and logs a mismatch.
Task<Result> check_password(const Request& request, std::string who, std::string password, std::string stored,
                            std::string default_scheme);

}   // namespace postcot::authd
