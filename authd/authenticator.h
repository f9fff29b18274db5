// Asks the passdbs, and the userdbs, in their order, as the result_... rules of each say.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "authd/drivers/database.h"
#include "authd/mechanism.h"
#include "authd/request.h"

namespace postcot::authd {

class Authenticator {
  public:
    // Opens the databases that the settings name. `settings` and `workers` must outlive the object.
    static Expected<std::unique_ptr<Authenticator>> create(const Settings& settings, WorkerPool* workers);
    Authenticator(const Settings& settings, std::vector<std::unique_ptr<PassDb>> passdbs,
                  std::vector<std::unique_ptr<UserDb>> userdbs);

    // A login. kOk only when a passdb said so; the request then has the user and the fields.
    Task<Result> login(Request& request, Credentials credentials);
    // PASS: the same without a password.
    Task<Result> passdb_lookup(Request& request);
    // Fields of the user. `after_login`: request went through login(), so that the user is known to exist and request.userdb may hold fields.
    Task<Result> userdb_lookup(Request& request, bool after_login, sasl::Fields& out);
    // All users that match the mask, each once. An error if a userdb cannot list; `out` then has those of the others.
    Task<Expected<void>> list(const Request& request, std::string mask, std::vector<std::string>& out);

  private:
    Task<Result> ask_passdbs(Request& request, const std::string* password);
    Task<bool> is_denied(Request& request, bool& internal_failure);

    const Settings& settings_;
    std::vector<std::unique_ptr<PassDb>> passdbs_;
    std::vector<std::unique_ptr<UserDb>> userdbs_;
};

}   // namespace postcot::authd
