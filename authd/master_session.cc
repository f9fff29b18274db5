#include "authd/master_session.h"

#include <unistd.h>

#include "authd/client_session.h"
#include "libproto/runtime/log.h"

namespace postcot::authd {

namespace {

constexpr size_t kMaxRunning = 1000;   // per connection: then its next line is not read until one is answered
constexpr size_t kListChunk = 32 * 1024;
constexpr Millis kOnItsWay{1000};   // two hops of a frame from the server before

}   // namespace

MasterSession::MasterSession(Server& server, UniqueFd fd, bool only_lookups, std::optional<uint32_t> only_uid)
    : server_(server), stream_(std::move(fd)), only_lookups_(only_lookups), only_uid_(only_uid) {}

Task<void> MasterSession::run() {
    auto greeted = co_await stream_.write(sasl::write_master_greeting(static_cast<uint32_t>(getpid())));
    bool version_known = false;
    while (greeted) {
        while (running_ >= kMaxRunning) {
            room_.reset();
            auto waited = co_await room_.wait();
            if (!waited) break;
        }
        auto line = co_await stream_.read(sasl::kMaxAuthLine);
        if (!line) break;
        auto parsed = sasl::parse_master_line(line->text);
        if (parsed && !version_known && parsed->kind != sasl::MasterLine::Kind::kVersion) {
            log::error("auth-master client: sent no VERSION line first");
            break;
        }
        if (!parsed) {
            log::error("auth-master client: {}", parsed.error().text);
            break;
        }
        using Kind = sasl::MasterLine::Kind;
        if (parsed->kind == Kind::kVersion) {
            if (parsed->major != sasl::kProtocolMajor) {
                log::error("auth-master client: not compatible with this server (mixed old and new binaries?)");
                break;
            }
            version_known = true;
            continue;
        }
        if (parsed->kind ==
            Kind::kPid) {   // "CPID n": a client of the 1.0 protocol; it would want another conversation
            log::error("auth-master client: is an auth client: wrong socket");
            break;
        }
        if ((parsed->kind == Kind::kUser || parsed->kind == Kind::kPass) && parsed->parameters.get("service").empty()) {
            log::error("auth-master client: BUG: Master sent {} request without service",
                       parsed->kind == Kind::kUser ? "USER" : "PASS");
            break;
        }
        ++running_;
        scope_.spawn(answer(std::move(*parsed)));
    }
    scope_.cancel();
    co_await scope_.join();
    stream_.close();
}

Task<void> MasterSession::answer(sasl::MasterLine line) {
    switch (line.kind) {
        case sasl::MasterLine::Kind::kRequest: co_await on_request(std::move(line)); break;
        case sasl::MasterLine::Kind::kUser: co_await on_user(std::move(line)); break;
        case sasl::MasterLine::Kind::kPass: co_await on_pass(std::move(line)); break;
        case sasl::MasterLine::Kind::kList: co_await on_list(std::move(line)); break;
        case sasl::MasterLine::Kind::kCacheFlush: {
            std::string text = "OK\t" + std::to_string(line.id) + "\t0\n";   // there is no cache
            (void)co_await stream_.write(std::move(text));
            break;
        }
        default: break;
    }
    --running_;
    room_.set();
}

Task<void> MasterSession::say_fail(uint32_t id, sasl::Fields fields) {
    (void)co_await stream_.write(sasl::write_fail(id, fields));
}

Task<void> MasterSession::say_user(uint32_t id, const Request& request, Result result, sasl::Fields fields) {
    std::string text;
    if (result == Result::kOk) {
        text = sasl::write_user_reply(id, request.user, fields);
        if (text.size() > sasl::kMaxAuthLine) {
            request.log_error("userdb", "userdb reply is too long");
            text = sasl::write_fail(id, {});
        }
    } else if (result == Result::kUserUnknown) {
        text = sasl::write_not_found(id);
    } else {
        sasl::Fields why;
        why.add("code", "temp_fail");
        text = sasl::write_fail(id, why);
    }
    (void)co_await stream_.write(std::move(text));
}

Task<void> MasterSession::on_request(sasl::MasterLine line) {
    if (only_lookups_) {
        log::error("auth-master client: REQUEST is not allowed on a userdb socket");
        co_await say_fail(line.id);
        co_return;
    }
    std::string why;
    ClientSession* client = server_.find_client(line.client_pid, line.cookie, why);
    std::unique_ptr<Request> request;
    if (client) {
        request = client->take_login(line.client_request_id);
        if (!request) why = fmt::format("Master request {}.{} not found", line.client_pid, line.client_request_id);
    }
    if (!request)
        request = co_await server_.passed_logins().take(server_.settings(), line.client_pid, line.client_request_id,
                                                        line.cookie, server_.draining() ? Millis(0) : kOnItsWay);
    if (!request) {
        // One that a reload has replaced has passed its logins on: the master asks the new one next.
        if (!server_.draining()) log::error("auth-master client: {}", why);
        co_await say_fail(line.id);
        co_return;
    }
    sasl::Fields fields;
    Result result = co_await server_.authenticator().userdb_lookup(*request, true, fields);
    if (result == Result::kUserUnknown) request->log_error("userdb", "user not found from userdb");
    fields.set("auth_mech", request->mechanism);
    co_await say_user(line.id, *request, result, std::move(fields));
}

Task<void> MasterSession::on_user(sasl::MasterLine line) {
    Request request(server_.settings());
    request.take_parameters(line.parameters);
    auto named = request.set_user(line.user);
    sasl::Fields fields;
    Result result = Result::kUserUnknown;
    if (!named)
        request.log_verbose("userdb", named.error().text);
    else
        result = co_await server_.authenticator().userdb_lookup(request, false, fields);
    if (result == Result::kOk && only_uid_ && fields.get("uid") != std::to_string(*only_uid_)) {
        log::error(
            "auth-master client: userdb lookup({}): client doesn't have lookup permissions for this user: its uid {} "
            "is not {} (to bypass this check, set: service auth {{ unix_listener ... {{ mode=0777 }} }})",
            request.user, *only_uid_, fields.get("uid"));
        co_await say_fail(line.id);
        co_return;
    }
    co_await say_user(line.id, request, result, std::move(fields));
}

Task<void> MasterSession::on_pass(sasl::MasterLine line) {
    if (only_uid_) {
        log::error("auth-master client: Auth client doesn't have permissions to do a PASS lookup");
        co_await say_fail(line.id);
        co_return;
    }
    Request request(server_.settings());
    request.take_parameters(line.parameters);
    auto named = request.set_user(line.user);
    Result result = Result::kUserUnknown;
    if (!named)
        request.log_verbose("passdb", named.error().text);
    else
        result = co_await server_.authenticator().passdb_lookup(request);
    std::string text;
    if (result == Result::kOk) {
        sasl::Fields fields;
        fields.add("user", request.user);
        for (const auto& field : request.reply.all())
            field.value ? fields.add(field.name, *field.value) : fields.add(field.name);
        text = sasl::write_pass_reply(line.id, fields);
    } else if (result == Result::kUserUnknown) {
        text = sasl::write_not_found(line.id);
    } else {
        sasl::Fields why;
        if (result == Result::kNoLookup) why.add("reason", "Configured passdbs don't support lookups");
        text = sasl::write_fail(line.id, why);
    }
    (void)co_await stream_.write(std::move(text));
}

Task<void> MasterSession::on_list(sasl::MasterLine line) {
    if (only_uid_) {
        log::error("auth-master client: Auth client doesn't have permissions to list users");
        std::string text = "DONE\t" + std::to_string(line.id) + "\tfail\n";
        (void)co_await stream_.write(std::move(text));
        co_return;
    }
    Request request(server_.settings());
    request.take_parameters(line.parameters);
    std::string mask = line.parameters.get("user");
    if (mask.empty()) mask = "*";
    std::vector<std::string> names;
    auto listed = co_await server_.authenticator().list(request, mask, names);
    std::string text;
    for (const auto& name : names) {
        text += "LIST\t" + std::to_string(line.id) + "\t" + sasl::tab_escape(name) + "\n";
        if (text.size() < kListChunk) continue;
        auto sent = co_await stream_.write(std::exchange(text, std::string()));
        if (!sent) co_return;
    }
    text += "DONE\t" + std::to_string(line.id) + (listed ? "\t\n" : "\tfail\n");
    (void)co_await stream_.write(std::move(text));
}

}   // namespace postcot::authd
