#include "libproto/config/not_served.h"

#include <algorithm>
#include <iterator>

#include "libproto/config/parameter.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

struct Word {
    std::string_view parameter;
    std::string_view words;
    std::string_view consequence;
};
constexpr Word kWords[] = {
    {"smtp_tls_security_level", "dane dane-only fingerprint", "mail that it counts for is deferred"},
    {"lmtp_tls_security_level", "dane dane-only fingerprint", "mail that it counts for is deferred"},
    {"notify_classes", "data policy protocol", "nothing is sent for it"},
};

// Served by smtpd and queued, or parts of Postfix whose work they do.
// postscreen's helpers have nothing to do while smtpd takes its connections.
constexpr std::string_view kCommands[] = {
    "anvil", "bounce", "cleanup", "discard",  "dnsblog",         "error",  "flush",  "lmtp",   "lmtpd",
    "local", "pickup", "pipe",    "postlogd", "proxymap",        "qmgr",   "retry",  "scache", "showq",
    "smtp",  "smtpd",  "tlsmgr",  "tlsproxy", "trivial-rewrite", "verify", "virtual"};

}   // namespace

std::string unsupported_word(std::string_view parameter, std::string_view value) {
    for (const auto& known : kWords) {
        if (known.parameter != parameter) continue;
        for (const auto& word : split_list(value)) {
            if (is_one_of(word, known.words)) return word + " is not supported: " + std::string(known.consequence);
        }
    }
    return {};
}

std::vector<std::string> unserved(const MasterService& service, const MasterCf& master, int64_t default_limit) {
    std::vector<std::string> out;
    std::string_view command = service.command;
    if (command == "postscreen" && service.type == "inet") {
        out.push_back(
            "postscreen's tests are not there yet: smtpd takes its connections, with the settings of the smtpd service "
            "of type pass");
        return out;
    }
    if (std::find(std::begin(kCommands), std::end(kCommands), command) == std::end(kCommands)) {
        out.push_back("command " + service.command + " is not supported: the service is not there");
        return out;
    }
    if (command != "smtpd" && command != "lmtpd") return out;
    const auto& all = master.services();
    const bool behind_postscreen =
        std::any_of(all.begin(), all.end(), [](const MasterService& other) { return other.command == "postscreen"; });
    if (service.type == "pass" && !behind_postscreen)
        out.push_back("type pass is not supported: nothing hands connections over");
    if (service.max_processes != default_limit)
        out.push_back("a process limit has no effect on " + service.command +
                      ": see smtpd_client_connection_count_limit");
    return out;
}

}   // namespace postcot::config
