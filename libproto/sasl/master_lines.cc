// The master and userdb sides of the auth protocol.
#include "libproto/sasl/auth_protocol.h"
#include "libproto/sasl/fields.h"

namespace postcot::sasl {

namespace {

std::string shown(std::string_view line) {
    std::string out(line.substr(0, 80));
    if (line.size() > 80) out += "...";
    return out;
}

}   // namespace

Expected<MasterLine> parse_master_line(std::string_view text) {
    Words words(text);
    auto command = words.next().value_or(std::string_view());
    MasterLine line;
    auto broken = [&] { return fail(0, "BUG: Master sent broken " + std::string(command) + " request"); };
    if (command == "REQUEST") {
        line.kind = MasterLine::Kind::kRequest;
        auto id = words.number();
        auto pid = words.number();
        auto request = words.number();
        auto cookie = words.next();
        if (!id || !pid || !request || !cookie || !words.fields(line.parameters)) return broken();
        line.id = *id;
        line.client_pid = *pid;
        line.client_request_id = *request;
        line.cookie = tab_unescape(*cookie);
    } else if (command == "USER" || command == "PASS") {
        line.kind = command == "USER" ? MasterLine::Kind::kUser : MasterLine::Kind::kPass;
        auto id = words.number();
        auto user = words.next();
        if (!id || !user || tab_unescape(*user).empty() || !words.fields(line.parameters)) return broken();
        line.id = *id;
        line.user = tab_unescape(*user);
    } else if (command == "LIST") {
        line.kind = MasterLine::Kind::kList;
        auto id = words.number();
        if (!id || !words.fields(line.parameters)) return broken();
        line.id = *id;
    } else if (command == "CACHE-FLUSH") {
        line.kind = MasterLine::Kind::kCacheFlush;
        auto id = words.number();
        if (!id) return broken();
        line.id = *id;
        while (auto user = words.next()) {
            if (line.users.size() >= kMaxAuthFields) return broken();
            if (!user->empty()) line.users.push_back(tab_unescape(*user));
        }
    } else if (command == "VERSION") {
        line.kind = MasterLine::Kind::kVersion;
        auto major = words.number();
        auto minor = words.number();
        if (!major || !minor) return fail(0, "BUG: Master sent invalid VERSION line: " + shown(text));
        line.major = *major;
        line.minor = *minor;
    } else if (command == "CPID") {
        line.kind = MasterLine::Kind::kPid;
        auto pid = words.number();
        if (!pid) return broken();
        line.client_pid = *pid;
    } else {
        return fail(0, "BUG: Unknown command in auth-master protocol: " + shown(text));
    }
    return line;
}

Expected<MasterReply> parse_master_reply(std::string_view text) {
    Words words(text);
    auto command = words.next().value_or(std::string_view());
    MasterReply reply;
    using Kind = MasterReply::Kind;
    auto broken = [&] { return fail(0, "Authentication server sent broken line: " + shown(text)); };
    if (command == "VERSION") {
        reply.kind = Kind::kVersion;
        auto major = words.number();
        auto minor = words.number();
        if (!major || !minor) return broken();
        reply.major = *major;
        reply.minor = *minor;
        return reply;
    }
    if (command == "SPID") {
        reply.kind = Kind::kServerPid;
        auto pid = words.number();
        if (!pid) return broken();
        reply.number = *pid;
        return reply;
    }
    if (command == "USER") reply.kind = Kind::kUser;
    if (command == "PASS") reply.kind = Kind::kPass;
    if (command == "NOTFOUND") reply.kind = Kind::kNotFound;
    if (command == "FAIL") reply.kind = Kind::kFail;
    if (command == "LIST") reply.kind = Kind::kList;
    if (command == "DONE") reply.kind = Kind::kDone;
    if (command == "OK") reply.kind = Kind::kOk;
    if (reply.kind == Kind::kOther) return reply;

    auto id = words.number();
    if (!id) return broken();
    reply.id = *id;
    if (reply.kind == Kind::kUser || reply.kind == Kind::kList) {
        auto user = words.next();
        if (!user) return broken();
        reply.user = tab_unescape(*user);
    }
    if (reply.kind == Kind::kOk) {
        auto count = words.number();
        if (!count) return broken();
        reply.count = *count;
        return reply;
    }
    if (!words.fields(reply.fields)) return broken();
    return reply;
}

std::string write_master_greeting(uint32_t server_pid) {
    return write_master_client_greeting() + "SPID\t" + std::to_string(server_pid) + "\n";
}

std::string write_master_client_greeting() {
    return "VERSION\t" + std::to_string(kProtocolMajor) + "\t" + std::to_string(kMasterMinor) + "\n";
}

std::string write_request(uint32_t id, uint32_t client_pid, uint32_t client_request_id, std::string_view cookie,
                          const Fields& parameters) {
    std::string out = "REQUEST\t" + std::to_string(id) + "\t" + std::to_string(client_pid) + "\t" +
                      std::to_string(client_request_id) + "\t" + tab_escape(cookie);
    parameters.append_to(out);
    out += "\n";
    return out;
}

std::string write_user_lookup(std::string_view command, uint32_t id, std::string_view user, const Fields& parameters) {
    std::string out(command);
    out += "\t" + std::to_string(id) + "\t" + tab_escape(user);
    parameters.append_to(out);
    out += "\n";
    return out;
}

std::string write_list(uint32_t id, const Fields& parameters) {
    std::string out = "LIST\t" + std::to_string(id);
    parameters.append_to(out);
    out += "\n";
    return out;
}

std::string write_user_reply(uint32_t id, std::string_view user, const Fields& fields) {
    std::string out = "USER\t" + std::to_string(id) + "\t" + tab_escape(user);
    fields.append_to(out);
    out += "\n";
    return out;
}

std::string write_pass_reply(uint32_t id, const Fields& fields) {
    std::string out = "PASS\t" + std::to_string(id);
    fields.append_to(out);
    out += "\n";
    return out;
}

std::string write_not_found(uint32_t id) { return "NOTFOUND\t" + std::to_string(id) + "\n"; }

}   // namespace postcot::sasl
