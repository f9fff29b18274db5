#include "authd/authenticator.h"

#include <algorithm>
#include <set>

#include "libproto/runtime/log.h"

namespace postcot::authd {

namespace {

using Rule = Database::Rule;

bool applies(const Database& db, const Request& request, bool authenticated) {
    if (db.skip == Database::Skip::kAuthenticated && authenticated) return false;
    if (db.skip == Database::Skip::kUnauthenticated && !authenticated) return false;
    if (!request.mechanism.empty() && !db.mechanisms.empty() &&
        std::find(db.mechanisms.begin(), db.mechanisms.end(), request.mechanism) == db.mechanisms.end()) {
        return false;
    }
    if (db.username_filter.empty()) return true;
    // Included if no positive mask is there or one matches, and no "!mask" matches.
    bool has_positive = false, included = false;
    for (const auto& mask : db.username_filter) {
        if (!mask.empty() && mask[0] == '!') {
            if (matches_mask(request.user, std::string_view(mask).substr(1))) return false;
        } else {
            has_positive = true;
            included = included || matches_mask(request.user, mask);
        }
    }
    return included || !has_positive;
}

Rule rule_for(const Database& db, Result result) {
    if (result == Result::kOk) return db.on_success;
    if (result == Result::kInternalFailure) return db.on_internal_failure;
    return db.on_failure;
}

bool ends(Rule rule) { return rule == Rule::kReturn || rule == Rule::kReturnOk || rule == Rule::kReturnFail; }

void apply(Rule rule, bool& success) {
    if (rule == Rule::kReturnOk || rule == Rule::kContinueOk) success = true;
    if (rule == Rule::kReturnFail || rule == Rule::kContinueFail) success = false;
}

// default_fields and override_fields of a passdb. False: allow_nets refused, or a variable is not known.
bool add_templates(Request& request, const PassDb& db, const std::vector<FieldTemplate>& fields) {
    for (const auto& field : fields) {
        std::optional<std::string> value = field.value;
        if (value) {
            auto expanded = request.expand(*value);
            if (!expanded) {
                request.log_error(db.name(), expanded.error().text);
                return false;
            }
            value = std::move(*expanded);
        }
        if (!request.add_passdb_field(db.name(), field.name, value)) return false;
    }
    return true;
}

bool set_templates(const Request& request, const UserDb& db, const std::vector<FieldTemplate>& fields,
                   sasl::Fields& out) {
    for (const auto& field : fields) {
        std::string value = field.value.value_or(std::string());
        auto expanded = request.expand(value);
        if (expanded && field.name == "uid") expanded = resolve_uid(*expanded);
        if (expanded && field.name == "gid") expanded = resolve_gid(*expanded);
        if (!expanded) {
            request.log_error(db.name(), expanded.error().text);
            return false;
        }
        out.set(field.name, std::move(*expanded));
    }
    return true;
}

}   // namespace

Expected<std::unique_ptr<Authenticator>> Authenticator::create(const Settings& settings, WorkerPool* workers) {
    std::vector<std::unique_ptr<PassDb>> passdbs;
    std::vector<std::unique_ptr<UserDb>> userdbs;
    for (const auto& database : settings.passdbs) {
        auto db = open_passdb(database, workers);
        if (!db) return fail(db.error());
        passdbs.push_back(std::move(*db));
    }
    for (const auto& database : settings.userdbs) {
        auto db = open_userdb(database);
        if (!db) return fail(db.error());
        userdbs.push_back(std::move(*db));
    }
    return std::make_unique<Authenticator>(settings, std::move(passdbs), std::move(userdbs));
}

Authenticator::Authenticator(const Settings& settings, std::vector<std::unique_ptr<PassDb>> passdbs,
                             std::vector<std::unique_ptr<UserDb>> userdbs)
    : settings_(settings), passdbs_(std::move(passdbs)), userdbs_(std::move(userdbs)) {}

Task<Result> Authenticator::login(Request& request, Credentials credentials) {
    request.is_login = true;
    std::string mechanism = request.mechanism;
    std::transform(mechanism.begin(), mechanism.end(), mechanism.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    auto named = request.set_user(credentials.authentication_id);
    if (!named) {
        request.log_verbose(mechanism, named.error().text);
        co_return Result::kMismatch;
    }
    if (!credentials.authorization_id.empty() && credentials.authorization_id != credentials.authentication_id) {
        request.log_verbose(mechanism, "login user: Master user login attempted without master passdbs");
        co_return Result::kMismatch;
    }
    if (credentials.password.find('\0') != std::string::npos) {
        request.log_verbose(mechanism, "invalid input");
        co_return Result::kMismatch;
    }
    co_return co_await ask_passdbs(request, &credentials.password);
}

Task<Result> Authenticator::passdb_lookup(Request& request) { co_return co_await ask_passdbs(request, nullptr); }

Task<bool> Authenticator::is_denied(Request& request, bool& internal_failure) {
    for (const auto& db : passdbs_) {
        if (!db->database().deny || !applies(db->database(), request, false)) continue;
        Request probe(request);
        auto result = co_await db->lookup(probe);
        if (result == Result::kUserUnknown) continue;
        if (result == Result::kInternalFailure || result == Result::kNoLookup) {
            internal_failure = true;   // who may be denied is not let in
            co_return true;
        }
        request.log_verbose(db->name(), "User found from deny passdb");
        co_return true;
    }
    co_return false;
}

Task<Result> Authenticator::ask_passdbs(Request& request, const std::string* password) {
    bool internal_failure = false;
    bool denied = co_await is_denied(request, internal_failure);
    if (denied) co_return internal_failure ? Result::kInternalFailure : Result::kMismatch;

    bool success = false;
    Result last = Result::kUserUnknown;
    for (const auto& db : passdbs_) {
        const Database& settings = db->database();
        if (settings.deny || !applies(settings, request, success)) continue;
        // What a passdb added before it said no is forgotten.
        std::string user = request.user;
        sasl::Fields reply = request.reply, userdb = request.userdb;
        request.verbose = settings.verbose.value_or(settings_.verbose);
        request.skip_password = success;
        request.no_password = false;
        Result result = Result::kInternalFailure;
        if (add_templates(request, *db, settings.default_fields)) {
            if (password)
                result = co_await db->verify(request, *password);
            else
                result = co_await db->lookup(request);
        }
        if (result == Result::kOk && !add_templates(request, *db, settings.override_fields)) result = Result::kMismatch;
        if (result != Result::kOk) {
            request.user = std::move(user);
            request.reply = std::move(reply);
            request.userdb = std::move(userdb);
            if (result == Result::kInternalFailure) internal_failure = true;
        }
        // A wrong password tells more than an unknown user in the next passdb.
        if (result != Result::kUserUnknown || last == Result::kOk) last = result;
        Rule rule = rule_for(settings, result);
        apply(rule, success);
        if (ends(rule)) break;
    }
    if (success) co_return Result::kOk;
    if (last == Result::kOk) co_return Result::kMismatch;   // result_success = return-fail
    if (internal_failure) co_return Result::kInternalFailure;
    co_return last;
}

Task<Result> Authenticator::userdb_lookup(Request& request, bool after_login, sasl::Fields& out) {
    if (after_login) out = request.userdb;
    bool success = false, internal_failure = false;
    Result last = Result::kUserUnknown;
    for (const auto& db : userdbs_) {
        const Database& settings = db->database();
        if (!applies(settings, request, success)) continue;
        sasl::Fields before = out;
        request.verbose = settings.verbose.value_or(settings_.verbose);
        Result result = Result::kOk;
        if (db->needs_passdb_check() && !after_login) {
            Request probe(request);
            result = co_await ask_passdbs(probe, nullptr);
            if (result == Result::kNoLookup) {
                request.log_error("static", "passdb doesn't support lookups, can't verify user's existence");
                result = Result::kInternalFailure;
            }
        }
        if (result == Result::kOk && !set_templates(request, *db, settings.default_fields, out))
            result = Result::kInternalFailure;
        if (result == Result::kOk) result = co_await db->lookup(request, out);
        if (result == Result::kOk && !set_templates(request, *db, settings.override_fields, out))
            result = Result::kInternalFailure;
        if (result != Result::kOk) out = std::move(before);
        if (result == Result::kInternalFailure) internal_failure = true;
        last = result;
        Rule rule = rule_for(settings, result);
        apply(rule, success);
        if (ends(rule)) break;
    }
    // A userdb field "user" renames, as a passdb's does.
    if (out.has("user")) {
        request.user = out.get("user");
        out.remove("user");
    }
    if (success) co_return Result::kOk;
    if (internal_failure) co_return Result::kInternalFailure;
    co_return last == Result::kOk ? Result::kUserUnknown : last;
}

Task<Expected<void>> Authenticator::list(const Request& request, std::string mask, std::vector<std::string>& out) {
    std::set<std::string> seen;
    Expected<void> outcome;
    for (const auto& db : userdbs_) {
        auto names = co_await db->list(request);
        if (!names) {
            request.log_error(db->name(), names.error().text);
            outcome = fail(names.error());
            continue;
        }
        for (auto& name : *names) {
            if (matches_mask(name, mask) && seen.insert(name).second) out.push_back(std::move(name));
        }
    }
    co_return outcome;
}

}   // namespace postcot::authd
