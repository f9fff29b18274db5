#include "authd/passed_login.h"

#include <algorithm>
#include <cerrno>

namespace postcot::authd {

namespace {

constexpr size_t kMaxLogins = 10000;             // the oldest goes
constexpr std::chrono::seconds kLifetime{150};   // Dovecot's AUTH_REQUEST_TIMEOUT_SECS

void encode_fields(ipc::Writer& w, const sasl::Fields& fields) {
    w.u32(static_cast<uint32_t>(fields.all().size()));
    for (const auto& field : fields.all()) {
        w.str(field.name);
        w.boolean(field.value.has_value());
        w.str(field.value.value_or(std::string()));
    }
}

sasl::Fields decode_fields(ipc::Reader& r) {
    sasl::Fields fields;
    uint32_t count = r.u32();
    for (uint32_t i = 0; i < count && r.ok(); ++i) {
        std::string name = r.str();
        bool has_value = r.boolean();
        std::string value = r.str();
        has_value ? fields.add(std::move(name), std::move(value)) : fields.add(std::move(name));
    }
    return fields;
}

}   // namespace

PassedLogin::PassedLogin(uint32_t pid, uint32_t id, std::string its_cookie, const Request& request)
    : client_pid(pid),
      request_id(id),
      cookie(std::move(its_cookie)),
      mechanism(request.mechanism),
      user(request.user),
      original_user(request.original_user),
      realm(request.realm),
      parameters(request.parameters),
      reply(request.reply),
      userdb(request.userdb) {}

std::unique_ptr<Request> PassedLogin::request(const Settings& settings) const {
    auto out = std::make_unique<Request>(settings);
    out->mechanism = mechanism;
    out->take_parameters(parameters);
    out->user = user;
    out->original_user = original_user;
    out->realm = realm;
    out->reply = reply;
    out->userdb = userdb;
    out->is_login = true;
    return out;
}

void PassedLogin::encode(ipc::Writer& w) const {
    w.u32(client_pid);
    w.u32(request_id);
    for (const std::string* text : {&cookie, &mechanism, &user, &original_user, &realm}) w.str(*text);
    for (const sasl::Fields* fields : {&parameters, &reply, &userdb}) encode_fields(w, *fields);
}

PassedLogin PassedLogin::decode(ipc::Reader& r) {
    PassedLogin login;
    login.client_pid = r.u32();
    login.request_id = r.u32();
    for (std::string* text : {&login.cookie, &login.mechanism, &login.user, &login.original_user, &login.realm})
        *text = r.str();
    for (sasl::Fields* fields : {&login.parameters, &login.reply, &login.userdb}) *fields = decode_fields(r);
    return login;
}

void PassedLogins::add(PassedLogin login) {
    auto now = Loop::current().now();
    std::erase_if(logins_, [now](const auto& item) { return now - item.second.since > kLifetime; });
    if (logins_.size() >= kMaxLogins)
        logins_.erase(std::min_element(logins_.begin(), logins_.end(),
                                       [](const auto& a, const auto& b) { return a.second.since < b.second.since; }));
    Key key{login.client_pid, login.request_id, login.cookie};
    logins_.insert_or_assign(std::move(key), Entry{std::move(login), now});
    arrived_.set();
}

bool PassedLogins::younger_than(Millis age) const {
    auto now = Loop::current().now();
    return std::any_of(logins_.begin(), logins_.end(), [&](const auto& item) { return now - item.second.since < age; });
}

Task<std::unique_ptr<Request>> PassedLogins::take(const Settings& settings, uint32_t client_pid, uint32_t request_id,
                                                  std::string cookie, Millis patience) {
    Key key{client_pid, request_id, std::move(cookie)};
    auto until = Loop::current().now() + patience;
    for (;;) {
        auto found = logins_.find(key);
        if (found != logins_.end()) {
            auto request = found->second.login.request(settings);
            logins_.erase(found);
            co_return request;
        }
        auto left = std::chrono::duration_cast<Millis>(until - Loop::current().now());
        if (left <= Millis(0)) co_return nullptr;
        arrived_.reset();
        auto woken = co_await arrived_.wait(left);
        if (!woken && woken.error().code != ETIMEDOUT) co_return nullptr;
    }
}

}   // namespace postcot::authd
