// RFC 2971. imap_id_send: "name * version 1"; imap_id_log: the fields of the client to log ("*": all).
#include <sstream>

#include "imapd/commands/commands.h"
#include "libproto/imap/response.h"
#include "libproto/imap/text.h"

namespace postcot::imapd {

namespace {

std::string own_value(const std::string& key) {
    if (key == "name") return "Postcot";
    if (key == "version") return POSTCOT_VERSION;
    if (key == "os") return "Linux";
    return {};
}

bool wanted(const std::string& list, const std::string& name) {
    std::istringstream words(list);
    for (std::string word; words >> word;) {
        if (word == "*" || imap::iequals(word, name)) return true;
    }
    return false;
}

}   // namespace

Task<Dispatch> on(Session& session, const imap::Id& id) {
    std::string out = "* ID (";
    std::istringstream words(session.settings().id_send.empty() ? std::string("name *") : session.settings().id_send);
    std::string key, value;
    bool first = true;
    while (words >> key >> value) {
        if (!first) out += ' ';
        first = false;
        imap::append_string(out, key);
        out += ' ';
        imap::append_string(out, value == "*" ? own_value(key) : value);
    }
    session.put(first ? "* ID NIL\r\n" : out + ")\r\n");

    std::string logged;
    for (const auto& [name, text] : id.fields) {
        if (!wanted(session.settings().id_log, name)) continue;
        logged += (logged.empty() ? "" : ", ") + name + '=' + text;
    }
    if (!logged.empty()) session.log(log::Level::kInfo, "ID sent: " + logged);
    co_return Dispatch{ok("ID completed."), News::kNone};
}

}   // namespace postcot::imapd
