// The client side of the auth protocol: greeting, AUTH, CONT, CANCEL and their answers.
#include <algorithm>

#include "libproto/sasl/auth_protocol.h"
#include "libproto/sasl/base64.h"
#include "libproto/sasl/fields.h"

namespace postcot::sasl {

namespace {

// What a log line may show of a peer's line.
std::string shown(std::string_view line) {
    std::string out(line.substr(0, 80));
    if (line.size() > 80) out += "...";
    return out;
}

bool decode(std::string_view base64, std::string& out) {
    if (base64 == "=") base64 = {};   // RFC 4954 §4: an empty initial response
    auto bytes = base64_decode(base64);
    if (!bytes) return false;
    out = std::move(*bytes);
    return true;
}

Expected<ClientLine> parse_auth(Words words) {
    ClientLine line;
    line.kind = ClientLine::Kind::kAuth;
    auto id = words.number();
    auto mechanism = words.next();
    Fields fields;
    if (!id || !mechanism || tab_unescape(*mechanism).empty() || !words.fields(fields)) {
        return fail(0, "BUG: Authentication client sent broken AUTH request");
    }
    line.auth.id = *id;
    line.auth.mechanism = tab_unescape(*mechanism);
    std::transform(line.auth.mechanism.begin(), line.auth.mechanism.end(), line.auth.mechanism.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    for (const auto& field : fields.all()) {
        if (field.name != "resp") {
            field.value ? line.auth.parameters.add(field.name, *field.value) : line.auth.parameters.add(field.name);
            continue;
        }
        line.auth.response.emplace();
        line.auth.bad_base64 = !decode(field.value.value_or(std::string()), *line.auth.response);
    }
    return line;
}

}   // namespace

Expected<ClientLine> parse_client_line(std::string_view text) {
    Words words(text);
    auto command = words.next().value_or(std::string_view());
    ClientLine line;
    if (command == "AUTH") return parse_auth(words);
    if (command == "CONT") {
        line.kind = ClientLine::Kind::kContinue;
        auto id = words.number();
        auto data = words.next();
        if (!id || !data) return fail(0, "BUG: Authentication client sent broken CONT request");
        line.cont.id = *id;
        line.cont.bad_base64 = !decode(*data, line.cont.response);
        return line;
    }
    if (command == "CANCEL") {
        line.kind = ClientLine::Kind::kCancel;
        auto id = words.number();
        if (!id) return fail(0, "BUG: Authentication client sent broken CANCEL request");
        line.cancel.id = *id;
        return line;
    }
    if (command == "VERSION") {
        line.kind = ClientLine::Kind::kVersion;
        auto major = words.number();
        auto minor = words.number();
        if (!major || !minor) return fail(0, "Authentication client sent invalid VERSION line: " + shown(text));
        line.major = *major;
        line.minor = *minor;
        return line;
    }
    if (command == "CPID") {
        line.kind = ClientLine::Kind::kPid;
        auto pid = words.number();
        if (!pid || *pid == 0) return fail(0, "BUG: Authentication client said it has PID 0");
        line.pid = *pid;
        return line;
    }
    return fail(0, "BUG: Authentication client sent unknown command: " + shown(text));
}

Expected<ServerLine> parse_server_line(std::string_view text) {
    Words words(text);
    auto command = words.next().value_or(std::string_view());
    ServerLine line;
    auto broken = [&] { return fail(0, "Authentication server sent broken line: " + shown(text)); };
    if (command == "OK" || command == "FAIL") {
        line.kind = command == "OK" ? ServerLine::Kind::kOk : ServerLine::Kind::kFail;
        auto id = words.number();
        if (!id || !words.fields(line.fields)) return broken();
        line.id = *id;
    } else if (command == "CONT") {
        line.kind = ServerLine::Kind::kContinue;
        auto id = words.number();
        if (!id || !decode(words.next().value_or(std::string_view()), line.challenge)) return broken();
        line.id = *id;
    } else if (command == "MECH") {
        line.kind = ServerLine::Kind::kMechanism;
        auto name = words.next();
        if (!name || name->empty()) return broken();
        auto& mechanism = line.mechanism;
        mechanism.name = tab_unescape(*name);
        while (auto flag = words.next()) {
            if (*flag == "plaintext") mechanism.plaintext = true;
            if (*flag == "dictionary") mechanism.dictionary = true;
            if (*flag == "active") mechanism.active = true;
            if (*flag == "anonymous") mechanism.anonymous = true;
            if (*flag == "forward-secrecy") mechanism.forward_secrecy = true;
            if (*flag == "mutual-auth") mechanism.mutual_auth = true;
            if (*flag == "private") mechanism.is_private = true;
        }
    } else if (command == "VERSION") {
        line.kind = ServerLine::Kind::kVersion;
        auto major = words.number();
        auto minor = words.number();
        if (!major || !minor) return broken();
        line.major = *major;
        line.minor = *minor;
    } else if (command == "SPID" || command == "CUID") {
        line.kind = command == "SPID" ? ServerLine::Kind::kServerPid : ServerLine::Kind::kConnectionId;
        auto number = words.number();
        if (!number) return broken();
        line.number = *number;
    } else if (command == "COOKIE") {
        line.kind = ServerLine::Kind::kCookie;
        line.cookie = tab_unescape(words.next().value_or(std::string_view()));
    } else if (command == "DONE") {
        line.kind = ServerLine::Kind::kDone;
    }
    return line;
}

std::string write_server_greeting(const ServerGreeting& greeting) {
    std::string out = "VERSION\t" + std::to_string(kProtocolMajor) + "\t" + std::to_string(kClientMinor) + "\n";
    for (const auto& mechanism : greeting.mechanisms) {
        out += "MECH\t" + tab_escape(mechanism.name);
        if (mechanism.is_private) out += "\tprivate";
        if (mechanism.anonymous) out += "\tanonymous";
        if (mechanism.plaintext) out += "\tplaintext";
        if (mechanism.dictionary) out += "\tdictionary";
        if (mechanism.active) out += "\tactive";
        if (mechanism.forward_secrecy) out += "\tforward-secrecy";
        if (mechanism.mutual_auth) out += "\tmutual-auth";
        out += "\n";
    }
    out += "SPID\t" + std::to_string(greeting.server_pid) + "\nCUID\t" + std::to_string(greeting.connection_id) +
           "\nCOOKIE\t" + tab_escape(greeting.cookie) + "\nDONE\n";
    return out;
}

std::string write_client_greeting(uint32_t client_pid) {
    return "VERSION\t" + std::to_string(kProtocolMajor) + "\t" + std::to_string(kClientMinor) + "\nCPID\t" +
           std::to_string(client_pid) + "\n";
}

std::string write_auth(const AuthCommand& command) {
    std::string out = "AUTH\t" + std::to_string(command.id) + "\t" + tab_escape(command.mechanism);
    command.parameters.append_to(out);
    if (command.response) {
        // Last, because Dovecot takes everything after "resp=" as the response.
        out += "\tresp=" + base64_encode(*command.response);
    }
    out += "\n";
    return out;
}

std::string write_continue(uint32_t id, std::string_view bytes) {
    return "CONT\t" + std::to_string(id) + "\t" + base64_encode(bytes) + "\n";
}

std::string write_cancel(uint32_t id) { return "CANCEL\t" + std::to_string(id) + "\n"; }

std::string write_ok(uint32_t id, const Fields& fields) {
    std::string out = "OK\t" + std::to_string(id);
    fields.append_to(out);
    out += "\n";
    return out;
}

std::string write_fail(uint32_t id, const Fields& fields) {
    std::string out = "FAIL\t" + std::to_string(id);
    fields.append_to(out);
    out += "\n";
    return out;
}

}   // namespace postcot::sasl
