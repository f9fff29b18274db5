// passdb and userdb passwd: the system's accounts through getpwnam(3), on the thread pool because name services may wait for a network.
#include <pwd.h>

#include <cstring>
#include <mutex>

#include "authd/drivers/drivers.h"

namespace postcot::authd {

namespace {

struct Account {
    std::string name, password, home, uid, gid;
};

// 0 and nothing in `out`: no such user. Else errno.
int find_passwd(const std::string& user, std::optional<Account>& out) {
    std::string buffer(16384, '\0');
    struct passwd entry, *found = nullptr;
    int error = 0;
    while ((error = getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
           buffer.size() < (1U << 20)) {
        buffer.resize(buffer.size() * 2);
    }
    if (!found) return error == ENOENT || error == ESRCH || error == EBADF || error == EPERM ? 0 : error;
    out = Account{found->pw_name, found->pw_passwd ? found->pw_passwd : "", found->pw_dir ? found->pw_dir : "",
                  std::to_string(found->pw_uid), std::to_string(found->pw_gid)};
    return 0;
}

Task<Result> look_up(Request& request, std::string who, std::optional<Account>& out) {
    auto find = [&request, &out] { return find_passwd(request.user, out); };
    int error = co_await blocking(find);
    if (error != 0) {
        request.log_error(who, std::string("getpwnam() failed: ") + std::strerror(error));
        co_return Result::kInternalFailure;
    }
    if (out) co_return Result::kOk;
    request.log_verbose(who, "unknown user");
    co_return Result::kUserUnknown;
}

class PasswdPassDb final : public PassDb {
  public:
    using PassDb::PassDb;
    Task<Result> verify(Request& request, std::string password) override {
        std::optional<Account> account;
        auto found = co_await look_up(request, name(), account);
        if (found != Result::kOk) co_return found;
        // "x", "*", "!": the hash is elsewhere, or there is none.
        if (account->password.size() < 4) {
            request.log_verbose(name(), "invalid password field");
            co_return Result::kUserDisabled;
        }
        if (request.skip_password) co_return Result::kOk;
        co_return co_await check_password(request, name(), std::move(password), account->password, "CRYPT");
    }
    Task<Result> lookup(Request& request) override {
        std::optional<Account> account;
        co_return co_await look_up(request, name(), account);
    }
};

class PasswdUserDb final : public UserDb {
  public:
    using UserDb::UserDb;
    Task<Result> lookup(Request& request, sasl::Fields& out) override {
        std::optional<Account> account;
        auto found = co_await look_up(request, name(), account);
        if (found != Result::kOk) co_return found;
        out.set("system_groups_user", account->name);
        out.set("uid", account->uid);
        out.set("gid", account->gid);
        out.set("home", account->home);
        co_return Result::kOk;
    }
    Task<Expected<std::vector<std::string>>> list(const Request& request) override {
        uint32_t first = request.settings.first_valid_uid;
        uint32_t last = request.settings.last_valid_uid ? request.settings.last_valid_uid : UINT32_MAX;
        auto walk = [first, last] {
            static std::mutex one_at_a_time;   // getpwent(3) has one cursor per process
            std::lock_guard<std::mutex> guard(one_at_a_time);
            std::vector<std::string> names;
            setpwent();
            while (auto* entry = getpwent()) {
                if (entry->pw_uid >= first && entry->pw_uid <= last && names.size() < (1U << 20))
                    names.emplace_back(entry->pw_name);
            }
            endpwent();
            return names;
        };
        co_return co_await blocking(walk);
    }
};

}   // namespace

Expected<std::unique_ptr<PassDb>> open_passwd_passdb(const Database& database) {
    return std::make_unique<PasswdPassDb>(database);
}
Expected<std::unique_ptr<UserDb>> open_passwd_userdb(const Database& database) {
    return std::make_unique<PasswdUserDb>(database);
}

}   // namespace postcot::authd
