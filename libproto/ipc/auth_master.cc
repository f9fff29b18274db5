#include "libproto/ipc/auth_master.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>

#include "libproto/runtime/net.h"
#include "libproto/runtime/stream.h"

namespace postcot::ipc {

namespace {

constexpr size_t kMaxListedUsers = 1 << 20;

struct Question {
    Event answered;
    std::optional<sasl::MasterReply> reply;   // none once answered: the connection was lost
    std::vector<std::string> listed;          // LIST lines so far
};

struct Connection {
    explicit Connection(UniqueFd fd) : stream(std::move(fd)) {}
    Stream stream;
    Mutex writing;
    bool alive = true;
    uint32_t server_pid = 0;
    std::map<uint32_t, std::shared_ptr<Question>> questions;   // shared with the task that waits for the answer

    void lost() {
        alive = false;
        stream.close();
        auto waiting = std::move(questions);
        questions.clear();
        for (auto& [id, question] : waiting) question->answered.set();
    }
};

Task<void> read_replies(std::shared_ptr<Connection> connection) {
    for (;;) {
        auto line = co_await connection->stream.read_line(sasl::kMaxAuthLine);
        if (!line) break;
        auto reply = sasl::parse_master_reply(line->text);
        if (!reply) break;
        auto found = connection->questions.find(reply->id);
        if (reply->kind == sasl::MasterReply::Kind::kOther || found == connection->questions.end()) continue;
        auto question = found->second;
        if (reply->kind == sasl::MasterReply::Kind::kList) {
            if (question->listed.size() < kMaxListedUsers) question->listed.push_back(std::move(reply->user));
            continue;
        }
        connection->questions.erase(found);
        question->reply = std::move(*reply);
        question->answered.set();
    }
    connection->lost();
}

std::optional<uint32_t> number(const sasl::Fields& fields, std::string_view name) {
    std::string text = fields.get(name);
    uint32_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

UserReply user_reply(sasl::MasterReply reply) {
    UserReply out;
    using Kind = sasl::MasterReply::Kind;
    if (reply.kind == Kind::kNotFound) {
        out.kind = UserReply::Kind::kNotFound;
        return out;
    }
    out.fields = std::move(reply.fields);
    if (reply.kind != Kind::kUser && reply.kind != Kind::kPass) {
        out.temporary = out.fields.has("temp") || out.fields.get("code") == "temp_fail";
        out.reason = out.fields.get("reason");
        return out;
    }
    out.kind = UserReply::Kind::kFound;
    out.user = reply.kind == Kind::kUser ? std::move(reply.user) : out.fields.get("user");
    out.uid = number(out.fields, "uid");
    out.gid = number(out.fields, "gid");
    out.home = out.fields.get("home");
    out.mail = out.fields.get("mail");
    return out;
}

sasl::Fields parameters_of(const UserLookup& lookup) {
    sasl::Fields out;
    out.add("service", lookup.service);
    if (!lookup.local_address.empty()) out.add("lip", lookup.local_address);
    if (!lookup.remote_address.empty()) out.add("rip", lookup.remote_address);
    for (const auto& field : lookup.extra.all()) {
        field.value ? out.add(field.name, *field.value) : out.add(field.name);
    }
    return out;
}

}   // namespace

struct AuthMaster::Impl {
    Impl(Scope& s, std::string p) : scope(s), path(std::move(p)) {}

    Scope& scope;
    std::string path;
    Mutex connecting;
    // The newest last. More than one only while a server that a reload has replaced still serves its last logins.
    std::vector<std::shared_ptr<Connection>> connections;
    uint32_t last_id = 0;

    void forget_lost() {
        std::erase_if(connections, [](const auto& connection) { return !connection->alive; });
    }

    Task<Expected<std::shared_ptr<Connection>>> connect() {
        auto address = SockAddr::unix_path(path);
        if (!address) co_return fail(address.error());
        auto fd = co_await connect_to(*address, Millis(10000));
        if (!fd) co_return fail(fd.error().code, "connect to auth socket " + path + ": " + fd.error().text);
        auto fresh = std::make_shared<Connection>(std::move(*fd));
        fresh->stream.put(sasl::write_master_client_greeting());
        auto sent = co_await fresh->stream.flush();
        if (!sent) co_return fail(sent.error());
        for (auto expected : {sasl::MasterReply::Kind::kVersion, sasl::MasterReply::Kind::kServerPid}) {
            auto line = co_await fresh->stream.read_line(sasl::kMaxAuthLine);
            if (!line) co_return fail(line.error());
            auto reply = sasl::parse_master_reply(line->text);
            if (!reply || reply->kind != expected ||
                (expected == sasl::MasterReply::Kind::kVersion && reply->major != sasl::kProtocolMajor))
                co_return fail(EPROTO, path + " does not speak the auth-master protocol");
            if (expected == sasl::MasterReply::Kind::kServerPid) fresh->server_pid = reply->number;
        }
        co_return fresh;
    }

    Task<Expected<std::shared_ptr<Connection>>> newest() {
        auto guard = co_await connecting.lock();
        forget_lost();
        if (!connections.empty()) co_return connections.back();
        auto fresh = co_await connect();
        if (!fresh) co_return fresh;
        connections.push_back(*fresh);
        scope.spawn(read_replies(*fresh));
        co_return fresh;
    }

    // The newest connection to a server that is not one of `asked`; nullptr: there is no other server.
    Task<Expected<std::shared_ptr<Connection>>> another(std::vector<uint32_t> asked) {
        auto guard = co_await connecting.lock();
        forget_lost();
        auto unasked = [&asked](const auto& connection) {
            return std::find(asked.begin(), asked.end(), connection->server_pid) == asked.end();
        };
        auto found = std::find_if(connections.rbegin(), connections.rend(), unasked);
        if (found != connections.rend()) co_return *found;
        auto fresh = co_await connect();
        if (!fresh || !unasked(*fresh)) co_return fresh ? Expected<std::shared_ptr<Connection>>(nullptr) : fresh;
        connections.push_back(*fresh);
        scope.spawn(read_replies(*fresh));
        co_return fresh;
    }

    // `write` makes the line for an id.
    Task<Expected<std::shared_ptr<Question>>> ask_on(std::shared_ptr<Connection> on,
                                                     std::function<std::string(uint32_t)> write) {
        if (++last_id == 0) ++last_id;
        uint32_t id = last_id;
        std::string line = write(id);
        if (line.size() > sasl::kMaxAuthLine) co_return fail(EMSGSIZE, "auth request too long");
        auto question = std::make_shared<Question>();
        on->questions[id] = question;
        Expected<void> outcome;
        {
            auto guard = co_await on->writing.lock();
            outcome = co_await on->stream.write(line);
            if (outcome) outcome = co_await on->stream.flush();
            if (!outcome) on->lost();
        }
        if (outcome) outcome = co_await question->answered.wait();
        on->questions.erase(id);
        if (!outcome) co_return fail(outcome.error());
        if (!question->reply) co_return fail(ECONNRESET, "auth server closed the connection");
        co_return question;
    }

    Task<Expected<std::shared_ptr<Question>>> ask(std::function<std::string(uint32_t)> write) {
        auto on = co_await newest();
        if (!on) co_return fail(on.error());
        co_return co_await ask_on(*on, std::move(write));
    }

    Task<Expected<UserReply>> ask_user(std::function<std::string(uint32_t)> write) {
        auto question = co_await ask(std::move(write));
        if (!question) co_return fail(question.error());
        co_return user_reply(std::move(*(*question)->reply));
    }

    // Around a reload of the auth server its clients and we may be connected to different ones, the old or the new: a
    // login that one does not know is asked for at the others.
    Task<Expected<UserReply>> ask_login(std::function<std::string(uint32_t)> write) {
        std::vector<uint32_t> asked;
        auto on = co_await newest();
        for (;;) {
            if (!on) co_return fail(on.error());
            asked.push_back((*on)->server_pid);
            auto question = co_await ask_on(*on, write);
            Expected<UserReply> reply = fail(0, "");
            if (question)
                reply = user_reply(std::move(*(*question)->reply));
            else
                reply = fail(question.error());
            bool unknown = reply ? reply->kind == UserReply::Kind::kFail && !reply->temporary
                                 : reply.error().code == ECONNRESET || reply.error().code == EPIPE;
            if (!unknown) co_return reply;
            on = co_await another(asked);
            if (!on || !*on) co_return reply;
        }
    }
};

AuthMaster::AuthMaster(Scope& scope, std::string path) : impl_(std::make_unique<Impl>(scope, std::move(path))) {}
AuthMaster::~AuthMaster() = default;

Task<Expected<UserReply>> AuthMaster::request(uint32_t client_pid, uint32_t client_request_id, std::string cookie,
                                              Millis timeout) {
    auto write = [client_pid, client_request_id, cookie = std::move(cookie)](uint32_t id) {
        return sasl::write_request(id, client_pid, client_request_id, cookie, {});
    };
    return with_deadline(timeout, impl_->ask_login(std::move(write)));
}

Task<Expected<UserReply>> AuthMaster::user(UserLookup lookup, Millis timeout) {
    auto write = [lookup = std::move(lookup)](uint32_t id) {
        return sasl::write_user_lookup("USER", id, lookup.user, parameters_of(lookup));
    };
    return with_deadline(timeout, impl_->ask_user(std::move(write)));
}

Task<Expected<UserReply>> AuthMaster::passdb(UserLookup lookup, Millis timeout) {
    auto write = [lookup = std::move(lookup)](uint32_t id) {
        return sasl::write_user_lookup("PASS", id, lookup.user, parameters_of(lookup));
    };
    return with_deadline(timeout, impl_->ask_user(std::move(write)));
}

Task<Expected<std::vector<std::string>>> AuthMaster::list(std::string mask, Millis timeout) {
    auto write = [mask = std::move(mask)](uint32_t id) {
        sasl::Fields parameters;
        parameters.add("service", "doveadm");
        parameters.add("user", mask);
        return sasl::write_list(id, parameters);
    };
    auto question = co_await with_deadline(timeout, impl_->ask(std::move(write)));
    if (!question) co_return fail(question.error());
    const auto& reply = *(*question)->reply;
    if (reply.kind != sasl::MasterReply::Kind::kDone || reply.fields.has("fail")) {
        co_return fail(EIO, "auth server could not list all users");
    }
    co_return std::move((*question)->listed);
}

Task<Expected<uint32_t>> AuthMaster::cache_flush(std::vector<std::string> users, Millis timeout) {
    auto write = [users = std::move(users)](uint32_t id) {
        std::string line = "CACHE-FLUSH\t" + std::to_string(id);
        for (const auto& user : users) line += "\t" + sasl::tab_escape(user);
        return line + "\n";
    };
    auto question = co_await with_deadline(timeout, impl_->ask(std::move(write)));
    if (!question) co_return fail(question.error());
    const auto& reply = *(*question)->reply;
    if (reply.kind != sasl::MasterReply::Kind::kOk) co_return fail(EIO, "auth server could not flush its cache");
    co_return reply.count;
}

}   // namespace postcot::ipc
