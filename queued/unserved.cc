#include "queued/unserved.h"

#include <unistd.h>

#include "libproto/address/resolve.h"
#include "queued/settings.h"

namespace postcot::queued {

namespace {

constexpr const char* kTransports[] = {"local_transport",   "virtual_transport", "relay_transport",
                                       "default_transport", "mailbox_transport", "fallback_transport",
                                       "content_filter"};

// The file of a Unix socket that `nexthop` names; empty: none.
std::string socket_of(const std::string& nexthop, const config::MainCf& main) {
    if (nexthop.rfind("unix:", 0) != 0) return {};
    const auto path = nexthop.substr(5);
    return path.empty() || path.front() == '/' ? path : main.str("queue_directory") + '/' + path;
}

std::string missing_transport(const config::MainCf& main, const Settings& settings, const std::string& value) {
    const auto chosen = address::split_transport(value);
    if (chosen.transport.empty()) return {};
    if (settings.transport(chosen.transport).agent == TransportSettings::Agent::kUnknown)
        return "no service " + chosen.transport + " in master.cf";
    const auto socket = socket_of(chosen.nexthop, main);
    return socket.empty() || ::access(socket.c_str(), F_OK) == 0 ? std::string() : socket + " is not there";
}

}   // namespace

std::vector<std::string> unserved_deliveries(const config::MainCf& main, const config::MasterCf& master) {
    std::vector<std::string> out;
    auto settings = Settings::read(main, master);
    if (!settings) return out;
    auto look = [&](const config::MainCf& with, const char* parameter, const std::string& where) {
        const auto value = with.str(parameter);
        if (auto missing = missing_transport(with, *settings, value); !missing.empty())
            out.push_back(where + parameter + " = " + value + ": " + missing + ": mail for it waits in the queue");
    };
    for (const char* parameter : kTransports) look(main, parameter, main.directory() + "/main.cf: ");
    for (const auto& service : master.services()) {
        const auto with = main.with_overrides(service.overrides);
        if (!with) continue;
        const auto where =
            master.file() + ": line " + std::to_string(service.line) + ": service " + service.name + ": ";
        for (const auto& [name, value] : service.overrides) {
            for (const char* parameter : kTransports)
                if (name == parameter) look(*with, parameter, where);
        }
        const bool hands_on = service.command == "smtpd" || service.command == "lmtpd" || service.command == "pickup";
        const auto cleanup = with->str("cleanup_service_name");
        if (!hands_on || cleanup == "cleanup") continue;
        if (auto found = config::main_of(main, master, cleanup, "cleanup"); found && !*found)
            out.push_back(where + "cleanup_service_name: no service " + cleanup + " in master.cf: mail waits");
    }
    return out;
}

}   // namespace postcot::queued
