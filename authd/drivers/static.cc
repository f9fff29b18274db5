// passdb static (one password, or none, for everyone) and userdb static (one template for everyone), and userdb prefetch (what the passdb said).
#include "authd/drivers/drivers.h"

namespace postcot::authd {

namespace {

class StaticPassDb final : public PassDb {
  public:
    explicit StaticPassDb(const Database& database) : PassDb(database), fields_(parse_fields(database.args)) {}

    Task<Result> verify(Request& request, std::string password) override {
        std::string stored;
        bool no_password = false;
        for (const auto& field : fields_) {
            if (field.name == "password") {
                auto expanded = request.expand(field.value.value_or(std::string()));
                if (!expanded) {
                    request.log_error(name(), expanded.error().text);
                    co_return Result::kInternalFailure;
                }
                stored = std::move(*expanded);
            } else if (field.name == "nopassword") {
                no_password = true;
            }
        }
        if (!no_password && !request.skip_password) {
            auto checked = co_await check_password(request, name(), std::move(password), std::move(stored), "PLAIN");
            if (checked != Result::kOk) co_return checked;
        }
        co_return co_await lookup(request);
    }

    Task<Result> lookup(Request& request) override {
        for (const auto& field : fields_) {
            std::optional<std::string> value = field.value;
            if (value && field.name != "password") {
                auto expanded = request.expand(*value);
                if (!expanded) {
                    request.log_error(name(), expanded.error().text);
                    co_return Result::kInternalFailure;
                }
                value = std::move(*expanded);
            }
            if (!request.add_passdb_field(name(), field.name, value)) co_return Result::kMismatch;
        }
        co_return Result::kOk;
    }

  private:
    std::vector<FieldTemplate> fields_;
};

class StaticUserDb final : public UserDb {
  public:
    StaticUserDb(const Database& database, std::vector<FieldTemplate> fields, bool allow_all_users)
        : UserDb(database), fields_(std::move(fields)), allow_all_users_(allow_all_users) {}

    Task<Result> lookup(Request& request, sasl::Fields& out) override {
        for (const auto& field : fields_) {
            auto expanded = request.expand(field.value.value_or(std::string()));
            if (!expanded) {
                request.log_error(name(), expanded.error().text);
                co_return Result::kInternalFailure;
            }
            out.set(field.name, std::move(*expanded));
        }
        co_return Result::kOk;
    }
    Task<Expected<std::vector<std::string>>> list(const Request&) override {
        co_return fail(ENOTSUP, "userdb static: User iteration isn't supported");
    }
    bool needs_passdb_check() const override { return !allow_all_users_; }

  private:
    std::vector<FieldTemplate> fields_;
    bool allow_all_users_;
};

class PrefetchUserDb final : public UserDb {
  public:
    using UserDb::UserDb;
    Task<Result> lookup(Request& request, sasl::Fields&) override {
        // The fields themselves are where the lookup started from. Without a login there are none.
        co_return request.userdb.empty() ? Result::kUserUnknown : Result::kOk;
    }
    Task<Expected<std::vector<std::string>>> list(const Request&) override { co_return std::vector<std::string>(); }
};

}   // namespace

Expected<std::unique_ptr<PassDb>> open_static_passdb(const Database& database) {
    return std::make_unique<StaticPassDb>(database);
}

Expected<std::unique_ptr<UserDb>> open_static_userdb(const Database& database) {
    std::vector<FieldTemplate> fields;
    bool allow_all_users = false;
    for (auto& field : parse_fields(database.args)) {
        std::string value = field.value.value_or(std::string());
        bool is_id = (field.name == "uid" || field.name == "gid") && value.find('%') == std::string::npos;
        if (field.name == "allow_all_users") {
            allow_all_users = value != "no";
            continue;
        }
        if (is_id) {
            auto number = field.name == "uid" ? resolve_uid(value) : resolve_gid(value);
            if (!number) return fail(0, database.where + ": static userdb: " + number.error().text);
            field.value = std::move(*number);
        }
        fields.push_back(std::move(field));
    }
    return std::make_unique<StaticUserDb>(database, std::move(fields), allow_all_users);
}

Expected<std::unique_ptr<UserDb>> open_prefetch_userdb(const Database& database) {
    return std::make_unique<PrefetchUserDb>(database);
}

}   // namespace postcot::authd
