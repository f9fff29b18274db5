// The parent gives a logged-in connection to the session process of its owner.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "libproto/login/parent.h"
#include "libproto/login/session_child.h"
#include "libproto/login/user_log.h"
#include "libproto/runtime/daemon.h"
#include "libproto/runtime/sandbox.h"
#include "libproto/runtime/subprocess.h"

namespace postcot::login {

namespace {

constexpr std::string_view kInternal = "Internal error occurred. Refer to server log for more information.";

HandedOver refuse(uint32_t sequence, std::string_view code, std::string_view text) {
    HandedOver out;
    out.sequence = sequence;
    out.code = code;
    out.text = text;
    return out;
}

// mail_uid, mail_gid: a number or a name.
std::optional<uint32_t> account_setting(const std::string& value, bool group) {
    if (value.empty()) return std::nullopt;
    auto account = group ? find_account("root", value) : find_account(value);
    if (!account) return std::nullopt;
    return group ? account->gid : account->uid;
}

}   // namespace

Expected<void> Parent::check_user(const ipc::UserReply& reply, LoggedIn& facts) const {
    facts.user = reply.user;
    facts.home = reply.home;
    facts.mail = reply.mail;
    facts.fields = reply.fields;
    auto uid = reply.uid ? reply.uid : account_setting(conf_.str("mail_uid"), false);
    auto gid = reply.gid ? reply.gid : account_setting(conf_.str("mail_gid"), true);
    if (!running_as_root()) {   // everything is one uid's then
        if (uid && *uid != geteuid()) return fail(EPERM, fmt::format("setuid({} from userdb lookup) needs root", *uid));
        uid = geteuid();
        gid = getegid();
    }
    if (!uid) return fail(EINVAL, "User is missing UID (see mail_uid setting)");
    if (!gid) return fail(EINVAL, "User is missing GID (see mail_gid setting)");
    facts.uid = *uid;
    facts.gid = *gid;
    auto outside = [&](const char* what, uint32_t id) {
        int64_t first = conf_.integer(fmt::format("first_valid_{}", what));
        int64_t last = conf_.integer(fmt::format("last_valid_{}", what));
        return id < first || (last != 0 && id > last);
    };
    if (outside("uid", *uid))
        return fail(EPERM, fmt::format("Mail access for users with UID {} not permitted (see first_valid_uid in config "
                                       "file, uid from userdb lookup).",
                                       *uid));
    if (outside("gid", *gid))
        return fail(EPERM, fmt::format("Mail access for users with GID {} not permitted (see first_valid_gid in config "
                                       "file, gid from userdb lookup).",
                                       *gid));
    if (running_as_root() && *uid == 0) return fail(EPERM, "Mail access for users with UID 0 not permitted");
    return {};
}

Expected<std::shared_ptr<Parent::SessionChild>> Parent::session_for(const LoggedIn& facts) {
    SessionKey key{facts.uid, facts.gid, std::hash<std::string>{}(facts.user) % pool_};
    auto found = by_key_.find(key);
    if (found != by_key_.end()) return found->second;

    int64_t limit = 0;
    if (const auto* service = conf_.section("service", protocol_.name)) limit = service->integer("process_limit");
    if (limit <= 0) limit = 1024;
    if (session_children_.size() >= static_cast<size_t>(limit))
        return fail(EAGAIN, fmt::format("service({}): process_limit ({}) reached, client connections are being dropped",
                                        protocol_.name, limit));

    auto pair = socket_pair();
    if (!pair) return fail(pair.error());
    int child_end = pair->second.get();
    const LoggedIn* first = &facts;
    ChildDescriptors channel;
    channel.keep = {child_end};
    auto pid = fork_child([this, child_end, first] { return run_session_child(protocol_, conf_, child_end, *first); },
                          std::move(channel));
    if (!pid) return fail(pid.error());
    auto child = std::make_shared<SessionChild>();   // shared by the tables and the task that reads from it
    child->pid = *pid;
    child->channel = std::make_unique<ipc::Channel>(std::move(pair->first), size_t{1} << 20);
    by_key_[key] = child;
    session_children_.push_back(child);
    sessions_.spawn(session_life(child));
    return child;
}

Task<void> Parent::session_life(std::shared_ptr<SessionChild> child) {
    auto forget_key = [this, &child] {
        for (auto it = by_key_.begin(); it != by_key_.end(); ++it) {
            if (it->second == child) {
                by_key_.erase(it);
                return;
            }
        }
    };
    for (;;) {
        auto frame = co_await child->channel->receive();
        if (!frame) break;
        if (auto served = ipc::Channel::unpack<Served>(*frame)) {
            auto ended = child->connections.find(served->connection);
            if (ended == child->connections.end()) continue;
            forget(ended->second);
            child->connections.erase(ended);
        } else if (frame->type == Retire::kType && child->connections.empty()) {
            break;
        }
        // One that a reload has set aside goes with its last connection.
        bool current = false;
        for (const auto& [key, other] : by_key_) current = current || other == child;
        if (!current && child->connections.empty()) break;
    }
    forget_key();
    child->channel->close();
    auto status = co_await wait_child(child->pid);
    for (const auto& [id, connection] : child->connections) forget(connection);
    child->connections.clear();
    session_children_.remove(child);
    if (status && WIFSIGNALED(*status) && !stopping_)
        log::error("{}", describe_death(log::Dialect::kDovecot, protocol_.name, child->pid, *status));
}

Task<void> Parent::hand_over(std::shared_ptr<FrontChild> front, HandOver message, UniqueFd fd) {
    auto reply = co_await place(std::move(message), std::move(fd));
    (void)co_await front->channel->send_message(reply);
}

Task<HandedOver> Parent::place(HandOver message, UniqueFd fd) {
    uint32_t sequence = message.sequence;
    auto reply = co_await master_->request(message.client_pid, message.request_id, message.cookie);
    if (stopping_) co_return refuse(sequence, "UNAVAILABLE", "Server shutting down.");
    LoggedIn facts = std::move(message.facts);
    if (!reply || reply->kind != ipc::UserReply::Kind::kFound) {
        std::string why = !reply                                           ? reply.error().text
                          : reply->kind == ipc::UserReply::Kind::kNotFound ? "Authenticated user not found from userdb"
                          : reply->reason.empty()                          ? "userdb lookup failed"
                                                                           : reply->reason;
        log::error("{}: auth-master: login: request [{}]: {}", protocol_.name, message.request_id, why);
        co_return refuse(sequence, "UNAVAILABLE", kInternal);
    }
    auto allowed = check_user(*reply, facts);
    if (!allowed) {
        user_log(fmt::format("{}({}): ", protocol_.name, facts.user), log::Level::kError, allowed.error().text);
        co_return refuse(sequence, "UNAVAILABLE", kInternal);
    }
    // mail_max_userip_connections; 0: no limit.
    int64_t most = conf_.integer("mail_max_userip_connections", protocol_.name);
    auto userip = userip_.find({facts.user, facts.remote_address});
    if (most > 0 && userip != userip_.end() && userip->second >= most)
        co_return refuse(
            sequence, "LIMIT",
            fmt::format("Maximum number of connections from user+IP exceeded (mail_max_userip_connections={})", most));
    auto child = session_for(facts);
    if (!child) {
        log::error("{}", child.error().text);
        co_return refuse(sequence, "UNAVAILABLE", kInternal);
    }
    Serve serve;
    serve.connection = ++next_connection_;
    (*child)->connections[serve.connection] = {facts.user, facts.remote_address};
    ++userip_[{facts.user, facts.remote_address}];
    HandedOver out;
    out.sequence = sequence;
    out.pid = static_cast<uint32_t>((*child)->pid);
    out.user = facts.user;
    serve.facts = std::move(facts);
    auto frame = ipc::Channel::pack(serve);
    frame.fds.push_back(std::move(fd));
    (*child)->channel->post(std::move(frame));
    co_return out;
}

}   // namespace postcot::login
