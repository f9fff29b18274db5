#include "libproto/login/messages.h"

#include <fmt/format.h>
#include <unistd.h>

namespace postcot::login {

std::string LoggedIn::log_prefix(std::string_view service) const {
    return fmt::format("{}({})<{}><{}>: ", service, user, getpid(), session_id);
}

void LoggedIn::encode(ipc::Writer& w) const {
    w.str(user);
    w.str(home);
    w.str(mail);
    w.u32(uid);
    w.u32(gid);
    std::string line;
    fields.append_to(line);
    w.str(line);
    w.str(session_id);
    w.str(method);
    w.str(remote_address);
    w.str(local_address);
    w.u32(remote_port);
    w.u32(local_port);
    w.boolean(tls);
    w.boolean(secured);
    w.str(payload);
    w.str(unread);
}

LoggedIn LoggedIn::decode(ipc::Reader& r) {
    LoggedIn out;
    out.user = r.str();
    out.home = r.str();
    out.mail = r.str();
    out.uid = r.u32();
    out.gid = r.u32();
    std::string line = r.str();
    for (size_t begin = line.empty() ? 0 : 1; begin < line.size();) {   // TAB name[=value] ...
        size_t end = line.find('\t', begin);
        if (end == std::string::npos) end = line.size();
        std::string_view word = std::string_view(line).substr(begin, end - begin);
        size_t equals = word.find('=');
        if (equals == std::string_view::npos)
            out.fields.add(sasl::tab_unescape(word));
        else
            out.fields.add(sasl::tab_unescape(word.substr(0, equals)), sasl::tab_unescape(word.substr(equals + 1)));
        begin = end + 1;
    }
    out.session_id = r.str();
    out.method = r.str();
    out.remote_address = r.str();
    out.local_address = r.str();
    out.remote_port = static_cast<uint16_t>(r.u32());
    out.local_port = static_cast<uint16_t>(r.u32());
    out.tls = r.boolean();
    out.secured = r.boolean();
    out.payload = r.str();
    out.unread = r.str();
    return out;
}

void AuthConnect::encode(ipc::Writer& w) const { w.u32(sequence); }
AuthConnect AuthConnect::decode(ipc::Reader& r) {
    AuthConnect out;
    out.sequence = r.u32();
    return out;
}

void AuthConnected::encode(ipc::Writer& w) const {
    w.u32(sequence);
    w.str(error);
}
AuthConnected AuthConnected::decode(ipc::Reader& r) {
    AuthConnected out;
    out.sequence = r.u32();
    out.error = r.str();
    return out;
}

void HandOver::encode(ipc::Writer& w) const {
    w.u32(sequence);
    w.u32(client_pid);
    w.u32(request_id);
    w.str(cookie);
    facts.encode(w);
}
HandOver HandOver::decode(ipc::Reader& r) {
    HandOver out;
    out.sequence = r.u32();
    out.client_pid = r.u32();
    out.request_id = r.u32();
    out.cookie = r.str();
    out.facts = LoggedIn::decode(r);
    return out;
}

void HandedOver::encode(ipc::Writer& w) const {
    w.u32(sequence);
    w.u32(pid);
    w.str(user);
    w.str(code);
    w.str(text);
}
HandedOver HandedOver::decode(ipc::Reader& r) {
    HandedOver out;
    out.sequence = r.u32();
    out.pid = r.u32();
    out.user = r.str();
    out.code = r.str();
    out.text = r.str();
    return out;
}

void Serve::encode(ipc::Writer& w) const {
    w.u64(connection);
    facts.encode(w);
}
Serve Serve::decode(ipc::Reader& r) {
    Serve out;
    out.connection = r.u64();
    out.facts = LoggedIn::decode(r);
    return out;
}

void Served::encode(ipc::Writer& w) const { w.u64(connection); }
Served Served::decode(ipc::Reader& r) {
    Served out;
    out.connection = r.u64();
    return out;
}

}   // namespace postcot::login
