#include "libproto/ipc/auth_client.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"

namespace postcot::ipc {

namespace {

constexpr size_t kMaxGreetingLines = 256;

// One AUTH from start() to its OK or FAIL.
struct Exchange {
    Event answered;
    std::optional<AuthReply> reply;   // set before `answered`; none then: the connection was lost
};

struct Connection {
    explicit Connection(UniqueFd fd) : stream(std::move(fd)) {}
    Stream stream;
    Mutex writing;
    sasl::ServerGreeting greeting;
    bool alive = true;
    // shared_ptr: the reader may finish an exchange while its task is being resumed with a timeout.
    std::map<uint32_t, std::shared_ptr<Exchange>> exchanges;

    void lost() {
        alive = false;
        stream.close();
        auto waiting = std::move(exchanges);
        exchanges.clear();
        for (auto& [id, exchange] : waiting) exchange->answered.set();
    }
};

AuthReply reply_from(sasl::ServerLine line, const Connection& connection, uint32_t client_pid) {
    AuthReply reply;
    reply.request_id = line.id;
    reply.client_pid = client_pid;
    reply.cookie = connection.greeting.cookie;
    if (line.kind == sasl::ServerLine::Kind::kContinue) {
        reply.kind = AuthReply::Kind::kContinue;
        reply.challenge = std::move(line.challenge);
        return reply;
    }
    reply.kind = line.kind == sasl::ServerLine::Kind::kOk ? AuthReply::Kind::kOk : AuthReply::Kind::kFail;
    reply.fields = std::move(line.fields);
    reply.user = reply.fields.get("user");
    reply.reason = reply.fields.get("reason");
    reply.code = reply.fields.get("code");
    auto flagged = [&](const char* flag, const char* code) { return reply.fields.has(flag) || reply.code == code; };
    reply.temporary = flagged("temp", "temp_fail");
    reply.authorization = flagged("authz", "authz_fail");
    reply.user_disabled = flagged("user_disabled", "user_disabled");
    reply.pass_expired = flagged("pass_expired", "pass_expired");
    reply.no_delay = reply.fields.has("nodelay");
    return reply;
}

// Lives in the scope until the connection is gone.
Task<void> read_replies(std::shared_ptr<Connection> connection, uint32_t client_pid) {
    for (;;) {
        auto line = co_await connection->stream.read_line(sasl::kMaxAuthLine);
        if (!line) break;
        auto parsed = sasl::parse_server_line(line->text);
        if (!parsed) break;
        using Kind = sasl::ServerLine::Kind;
        if (parsed->kind != Kind::kOk && parsed->kind != Kind::kFail && parsed->kind != Kind::kContinue) continue;
        auto found = connection->exchanges.find(parsed->id);
        if (found == connection->exchanges.end()) continue;   // cancelled in the meantime
        auto exchange = found->second;
        if (parsed->kind != Kind::kContinue) connection->exchanges.erase(found);
        exchange->reply = reply_from(std::move(*parsed), *connection, client_pid);
        exchange->answered.set();
    }
    connection->lost();
}

sasl::Fields parameters_of(const AuthRequest& request) {
    sasl::Fields out;
    out.add("service", request.service);
    if (request.tls)
        out.add("secured", "tls");
    else if (request.secured)
        out.add("secured");
    if (request.nologin) out.add("nologin");
    if (request.no_penalty) out.add("no-penalty");
    if (request.valid_client_cert) out.add("valid-client-cert");
    if (!request.cert_username.empty()) out.add("cert_username", request.cert_username);
    if (!request.session.empty()) out.add("session", request.session);
    if (!request.local_address.empty()) out.add("lip", request.local_address);
    if (!request.remote_address.empty()) out.add("rip", request.remote_address);
    if (request.local_port) out.add("lport", std::to_string(request.local_port));
    if (request.remote_port) out.add("rport", std::to_string(request.remote_port));
    if (!request.local_name.empty()) out.add("local_name", request.local_name);
    if (!request.tls_protocol.empty()) out.add("tls_protocol", request.tls_protocol);
    if (!request.tls_cipher.empty()) out.add("tls_cipher", request.tls_cipher);
    for (const auto& field : request.extra.all()) {
        field.value ? out.add(field.name, *field.value) : out.add(field.name);
    }
    return out;
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return text;
}

}   // namespace

struct AuthClient::Impl {
    Impl(Scope& s, Connector c, uint32_t pid) : scope(s), connector(std::move(c)), client_pid(pid) {}

    Scope& scope;
    Connector connector;
    uint32_t client_pid;
    Mutex connecting;
    std::shared_ptr<Connection> connection;
    std::vector<sasl::Mechanism> mechanisms;
    uint32_t last_id = 0;   // unique over connections: an old id cannot meet a new exchange

    Task<Expected<void>> greet(std::shared_ptr<Connection> fresh) {
        fresh->stream.put(sasl::write_client_greeting(client_pid));
        auto sent = co_await fresh->stream.flush();
        if (!sent) co_return sent;
        for (size_t count = 0; count < kMaxGreetingLines; ++count) {
            auto line = co_await fresh->stream.read_line(sasl::kMaxAuthLine);
            if (!line) co_return fail(line.error());
            auto parsed = sasl::parse_server_line(line->text);
            if (!parsed) co_return fail(parsed.error());
            using Kind = sasl::ServerLine::Kind;
            switch (parsed->kind) {
                case Kind::kVersion:
                    if (parsed->major != sasl::kProtocolMajor)
                        co_return fail(EPROTO, "auth server speaks another protocol version");
                    break;
                case Kind::kMechanism: fresh->greeting.mechanisms.push_back(std::move(parsed->mechanism)); break;
                case Kind::kServerPid: fresh->greeting.server_pid = parsed->number; break;
                case Kind::kConnectionId: fresh->greeting.connection_id = parsed->number; break;
                case Kind::kCookie: fresh->greeting.cookie = parsed->cookie; break;
                case Kind::kDone: co_return Expected<void>();
                default: break;
            }
        }
        co_return fail(EPROTO, "auth server's greeting does not end");
    }

    Task<Expected<void>> open() {
        auto guard = co_await connecting.lock();
        if (connection && connection->alive) co_return Expected<void>();
        auto fd = co_await connector();
        if (!fd) co_return fail(fd.error());
        auto fresh = std::make_shared<Connection>(std::move(*fd));
        auto greeted = co_await greet(fresh);
        if (!greeted) co_return greeted;
        connection = fresh;
        mechanisms = fresh->greeting.mechanisms;
        scope.spawn(read_replies(fresh, client_pid));
        co_return Expected<void>();
    }

    Task<Expected<AuthReply>> converse(std::shared_ptr<Connection> on, std::shared_ptr<Exchange> exchange,
                                       std::string line) {
        {
            auto guard = co_await on->writing.lock();
            auto sent = co_await on->stream.write(line);
            if (sent) sent = co_await on->stream.flush();
            if (!sent) {
                on->lost();
                co_return fail(sent.error());
            }
        }
        auto woken = co_await exchange->answered.wait();
        if (!woken) co_return fail(woken.error());
        if (!exchange->reply) co_return fail(ECONNRESET, "auth server closed the connection");
        AuthReply reply = std::move(*exchange->reply);
        exchange->reply.reset();
        exchange->answered.reset();
        co_return reply;
    }

    void give_up(const std::shared_ptr<Connection>& on, uint32_t id) {
        if (on->exchanges.erase(id) > 0 && on->alive) scope.spawn(send_cancel(on, id));
    }

    static Task<void> send_cancel(std::shared_ptr<Connection> on, uint32_t id) {
        auto guard = co_await on->writing.lock();
        auto sent = co_await on->stream.write(sasl::write_cancel(id));
        if (sent) sent = co_await on->stream.flush();
    }
};

AuthClient::AuthClient(Scope& scope, std::string path)
    : AuthClient(scope, [path = std::move(path)]() -> Task<Expected<UniqueFd>> {
          auto address = SockAddr::unix_path(path);
          if (!address) co_return fail(address.error());
          auto fd = co_await connect_to(*address, Millis(10000));
          if (!fd) co_return fail(fd.error().code, "connect to auth socket " + path + ": " + fd.error().text);
          co_return std::move(*fd);
      }) {}

AuthClient::AuthClient(Scope& scope, Connector connector, uint32_t client_pid)
    : impl_(std::make_unique<Impl>(scope, std::move(connector),
                                   client_pid ? client_pid : static_cast<uint32_t>(getpid()))) {}

AuthClient::~AuthClient() = default;

Task<Expected<void>> AuthClient::connect(Millis timeout) { return with_deadline(timeout, impl_->open()); }

const std::vector<sasl::Mechanism>& AuthClient::mechanisms() const { return impl_->mechanisms; }

const sasl::Mechanism* AuthClient::find_mechanism(std::string_view name) const {
    std::string wanted = upper(std::string(name));
    for (const auto& mechanism : impl_->mechanisms) {
        if (mechanism.name == wanted) return &mechanism;
    }
    return nullptr;
}

Task<Expected<AuthReply>> AuthClient::start(AuthRequest request, Millis timeout) {
    auto reply = co_await start_once(request, timeout);
    // A server that a reload replaces hangs up; it may do so at the very moment that we ask. Its successor is there.
    if (!reply && (reply.error().code == ECONNRESET || reply.error().code == EPIPE))
        reply = co_await start_once(std::move(request), timeout);
    co_return reply;
}

Task<Expected<AuthReply>> AuthClient::start_once(AuthRequest request, Millis timeout) {
    auto ready = co_await connect(timeout);
    if (!ready) co_return fail(ready.error());
    // A real Dovecot hangs up on a mechanism it does not have, which would hurt every session on this connection.
    if (!find_mechanism(request.mechanism)) {
        AuthReply reply;
        reply.code = "unsupported";
        reply.reason = "Unsupported authentication mechanism.";
        co_return reply;
    }
    sasl::AuthCommand command;
    if (++impl_->last_id == 0) ++impl_->last_id;
    command.id = impl_->last_id;
    command.mechanism = upper(request.mechanism);
    command.parameters = parameters_of(request);
    command.response = std::move(request.initial_response);
    std::string line = sasl::write_auth(command);
    if (line.size() > sasl::kMaxAuthLine) {
        AuthReply reply;
        reply.reason = "Authentication response too long";
        co_return reply;
    }
    auto connection = impl_->connection;
    auto exchange = std::make_shared<Exchange>();
    connection->exchanges[command.id] = exchange;
    auto reply = co_await with_deadline(timeout, impl_->converse(connection, exchange, std::move(line)));
    if (!reply) impl_->give_up(connection, command.id);
    co_return reply;
}

Task<Expected<AuthReply>> AuthClient::continue_with(uint32_t request_id, std::string response, Millis timeout) {
    auto connection = impl_->connection;
    if (!connection || !connection->alive) co_return fail(ECONNRESET, "auth server closed the connection");
    auto found = connection->exchanges.find(request_id);
    if (found == connection->exchanges.end())
        co_return fail(ECONNRESET, "authentication request is not known any more");
    std::string line = sasl::write_continue(request_id, response);
    if (line.size() > sasl::kMaxAuthLine) {
        impl_->give_up(connection, request_id);
        AuthReply reply;
        reply.request_id = request_id;
        reply.reason = "Authentication response too long";
        co_return reply;
    }
    auto exchange = found->second;
    auto reply = co_await with_deadline(timeout, impl_->converse(connection, exchange, std::move(line)));
    if (!reply) impl_->give_up(connection, request_id);
    co_return reply;
}

void AuthClient::cancel(uint32_t request_id) {
    if (impl_->connection) impl_->give_up(impl_->connection, request_id);
}

}   // namespace postcot::ipc
