#include "authd/client_session.h"

#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>

#include "authd/mechanism.h"
#include "libproto/runtime/log.h"

namespace postcot::authd {

namespace {

// Per connection; past it an AUTH fails as temporary. Reading must go on: one session of a front that leaves its CONT out must not stop the others.
constexpr size_t kMaxRunning = 5000;
constexpr size_t kMaxLogins = 10000;        // answered with OK and not fetched: the oldest goes
constexpr Millis kRequestTimeout{150000};   // Dovecot's AUTH_REQUEST_TIMEOUT_SECS: waiting for CONT, or for REQUEST

std::string random_cookie() {
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1) log::fatal("no random bytes");
    std::string out;
    for (unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
    return out;
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return text;
}

}   // namespace

ClientSession::ClientSession(Server& server, UniqueFd fd, bool for_logins)
    : server_(server),
      stream_(std::move(fd)),
      for_logins_(for_logins),
      connection_id_(server.next_connection_id()),
      cookie_(random_cookie()) {}

ClientSession::~ClientSession() = default;

Task<void> ClientSession::run() {
    sasl::ServerGreeting greeting;
    greeting.mechanisms = server_.mechanisms();
    greeting.server_pid = static_cast<uint32_t>(getpid());
    greeting.connection_id = connection_id_;
    greeting.cookie = cookie_;
    server_.add_session(*this);
    auto greeted = co_await stream_.write(sasl::write_server_greeting(greeting));
    std::string why = "EOF";
    while (greeted) {
        auto line = co_await stream_.read(sasl::kMaxAuthLine);
        if (!line) {
            if (line.error().code == EMSGSIZE)
                log::error("BUG: Authentication client {} sent a line over {} bytes", pid_, sasl::kMaxAuthLine);
            if (line.error().code != ENODATA) why = line.error().text;
            break;
        }
        auto parsed = sasl::parse_client_line(line->text);
        Expected<void> done;
        if (!parsed)
            done = fail(parsed.error());
        else
            done = on_line(std::move(*parsed));
        if (!done) {
            log::error("{}", done.error().text);
            break;
        }
    }
    // As in Dovecot, whoever leaves while we still work for him is worth a line.
    if (!running_.empty() && !server_.draining())
        log::error("auth client {} disconnected with {} pending requests: {}", pid_, running_.size(), why);
    server_.remove_session(*this);
    if (pid_) server_.remove_client(pid_, *this);
    scope_.cancel();
    co_await scope_.join();
    stream_.close();
}

Expected<void> ClientSession::on_line(sasl::ClientLine line) {
    using Kind = sasl::ClientLine::Kind;
    if (scope_.size() > 2 * kMaxRunning)
        return fail(0, fmt::format("Authentication client {} does not read its answers", pid_));
    if (line.kind == Kind::kVersion) {
        if (line.major != sasl::kProtocolMajor)
            return fail(0, "Authentication client not compatible with this server (mixed old and new binaries?)");
        version_known_ = true;
        return {};
    }
    if (!version_known_) return fail(0, "Authentication client sent no VERSION line first");
    if (line.kind == Kind::kPid) {
        if (pid_ != 0) return fail(0, "BUG: Authentication client sent CPID twice");
        pid_ = line.pid;
        server_.add_client(pid_, *this);
        return {};
    }
    if (pid_ == 0) return fail(0, "BUG: Authentication client sent a request before CPID");
    if (line.kind == Kind::kAuth) {
        if (running_.count(line.auth.id) || logins_.count(line.auth.id)) {
            return fail(0, fmt::format("BUG: Authentication client {} sent a duplicate ID {}", pid_, line.auth.id));
        }
        if (line.auth.parameters.get("service").empty()) {
            return fail(0, fmt::format("BUG: Authentication client {} didn't specify service in request", pid_));
        }
        if (running_.size() >= kMaxRunning) {
            sasl::Fields fields;
            fields.add("code", "temp_fail");
            fields.add("temp");
            scope_.spawn(say(sasl::write_fail(line.auth.id, fields)));
            return {};
        }
        auto running = std::make_shared<Running>();
        running_[line.auth.id] = running;
        scope_.spawn(authenticate(std::move(line.auth), running));
        return {};
    }
    uint32_t id = line.kind == Kind::kContinue ? line.cont.id : line.cancel.id;
    auto found = running_.find(id);
    if (line.kind == Kind::kCancel) {
        if (found != running_.end()) {
            found->second->cancelled = true;
            found->second->more.set();
        }
        return {};
    }
    if (found == running_.end()) {
        sasl::Fields fields;
        fields.add("reason", "Authentication request timed out");
        scope_.spawn(say(sasl::write_fail(id, fields)));
        return {};
    }
    auto& running = *found->second;
    if (!running.wants_continuation || running.continuation)
        running.unexpected = true;
    else
        running.continuation = std::move(line.cont);
    running.more.set();
    return {};
}

Task<void> ClientSession::say(std::string text) { (void)co_await stream_.write(std::move(text)); }

Task<void> ClientSession::authenticate(sasl::AuthCommand command, std::shared_ptr<Running> running) {
    uint32_t id = command.id;
    co_await converse(std::move(command), running);
    running_.erase(id);
}

Task<void> ClientSession::converse(sasl::AuthCommand command, std::shared_ptr<Running> running) {
    uint32_t id = command.id;
    auto request = std::make_unique<Request>(server_.settings());
    request->mechanism = command.mechanism;
    request->take_parameters(command.parameters);
    std::string mechanism = lower(command.mechanism);

    auto invalid = [](const char* code, const char* reason) {
        sasl::Fields fields;
        if (*code) fields.add("code", code);
        if (*reason) fields.add("reason", reason);
        return fields;
    };
    const auto& offered = server_.mechanisms();
    bool known =
        std::any_of(offered.begin(), offered.end(), [&](const auto& m) { return m.name == command.mechanism; });
    if (!known) {
        // Dovecot hangs up here; one session's wrong word must not end the others on this connection.
        log::error("BUG: Authentication client {} requested unsupported authentication mechanism {}", pid_,
                   command.mechanism.substr(0, 64));
        co_await say_failed(id, *request, Result::kMismatch, {});
        co_return;
    }
    if (command.bad_base64) {
        request->log_verbose(mechanism, "Invalid base64 data in initial response");
        co_await say_failed(id, *request, Result::kMismatch,
                            invalid("invalid_base64", "Invalid base64 data in initial response"));
        co_return;
    }

    Exchange exchange(command.mechanism);
    Step step = exchange.start(command.response);
    while (step.kind == Step::Kind::kChallenge) {
        running->more.reset();
        running->wants_continuation = true;
        auto sent = co_await stream_.write(sasl::write_continue(id, step.challenge));
        if (!sent) co_return;
        auto waited = co_await running->more.wait(kRequestTimeout);
        running->wants_continuation = false;
        if (running->cancelled) co_return;
        if (!waited && waited.error().code != ETIMEDOUT) co_return;
        if (!waited) {
            request->log_verbose(mechanism, "Request timed out waiting for client to continue authentication");
            co_await say_failed(id, *request, Result::kMismatch, invalid("", "Authentication request timed out"));
            co_return;
        }
        if (running->unexpected) {
            request->log_verbose(mechanism, "Unexpected continuation");
            co_await say_failed(id, *request, Result::kMismatch, invalid("", "Unexpected continuation"));
            co_return;
        }
        sasl::ContinueCommand continuation = std::move(*running->continuation);
        running->continuation.reset();
        if (continuation.bad_base64) {
            request->log_verbose(mechanism, "Invalid base64 data in continued response");
            co_await say_failed(id, *request, Result::kMismatch,
                                invalid("invalid_base64", "Invalid base64 data in continued response"));
            co_return;
        }
        step = exchange.next(continuation.response);
    }
    if (step.kind != Step::Kind::kCredentials) {
        request->log_verbose(mechanism, step.error);
        co_await say_failed(id, *request, Result::kMismatch, {});
        co_return;
    }

    Result result = co_await server_.authenticator().login(*request, std::move(step.credentials));
    if (running->cancelled) co_return;
    if (running->unexpected) {
        co_await say_failed(id, *request, Result::kMismatch, invalid("", "Unexpected continuation"));
        co_return;
    }
    if (result != Result::kOk) {
        co_await say_failed(id, *request, result, {});
        co_return;
    }
    sasl::Fields fields;
    fields.add("user", request->user);
    for (const auto& field : request->reply.all()) {
        if (field.name != "user") field.value ? fields.add(field.name, *field.value) : fields.add(field.name);
    }
    if (request->user != request->original_user) fields.add("original_user", request->original_user);
    if (for_logins_ && !request->nologin) keep_login(id, std::move(request));
    (void)co_await stream_.write(sasl::write_ok(id, fields));
}

Task<void> ClientSession::say_failed(uint32_t id, const Request& request, Result result, sasl::Fields more) {
    sasl::Fields fields;
    if (!request.user.empty())
        fields.add("user", request.user);
    else if (!request.original_user.empty())
        fields.add("user", request.original_user);
    auto coded = [&](const char* code, const char* flag) {
        fields.add("code", code);
        fields.add(flag);
    };
    if (result == Result::kInternalFailure || result == Result::kNoLookup) coded("temp_fail", "temp");
    if (result == Result::kUserDisabled) coded("user_disabled", "user_disabled");
    if (result == Result::kPassExpired) coded("pass_expired", "pass_expired");
    if (!request.failure_reason.empty()) fields.add("reason", request.failure_reason);
    for (const auto& field : more.all()) fields.add(field.name, field.value.value_or(std::string()));
    if (!request.no_delay) co_await server_.failures().wait();
    (void)co_await stream_.write(sasl::write_fail(id, fields));
}

void ClientSession::pass_logins_on() {
    for (auto& [id, login] : logins_) server_.pass_on(PassedLogin(pid_, id, cookie_, *login.request));
    logins_.clear();
}

void ClientSession::keep_login(uint32_t id, std::unique_ptr<Request> request) {
    if (server_.passes_on()) {
        server_.pass_on(PassedLogin(pid_, id, cookie_, *request));
        return;
    }
    forget_old_logins();
    logins_[id] = Login{std::move(request), Loop::current().now()};
}

void ClientSession::forget_old_logins() {
    auto now = Loop::current().now();
    for (auto it = logins_.begin(); it != logins_.end();) {
        it = now - it->second.since > kRequestTimeout ? logins_.erase(it) : std::next(it);
    }
    while (logins_.size() >= kMaxLogins) {
        auto oldest = std::min_element(logins_.begin(), logins_.end(),
                                       [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
        logins_.erase(oldest);
    }
}

std::unique_ptr<Request> ClientSession::take_login(uint32_t request_id) {
    forget_old_logins();
    auto found = logins_.find(request_id);
    if (found == logins_.end()) return nullptr;
    auto request = std::move(found->second.request);
    logins_.erase(found);
    return request;
}

}   // namespace postcot::authd
