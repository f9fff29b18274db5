// postconf [name...]: parameters of main.cf.
#include <algorithm>
#include <cstdio>
#include <map>

#include "libproto/config/expand.h"
#include "libproto/config/parameter.h"
#include "tools/postconf/postconf.h"

namespace postcot::postconf {
namespace {

using Values = std::map<std::string, std::string, std::less<>>;

// Transports of master.cf have parameters of their own: <service>_destination_recipient_limit ...
void add_service_parameters(const Services& services, const config::MainCf& main, Values& out) {
    for (const auto& piece : services.pieces) {
        if (!piece.is_entry || piece.entry.fields[1] != "unix") continue;
        const std::string& command = piece.entry.fields[7];
        bool transport = command == "error" || command == "lmtp" || command == "local" || command == "pipe" ||
                         command == "smtp" || command == "virtual";
        if (!transport && command != "spawn") continue;
        for (const auto& suffix : config::transport_suffixes()) {
            bool time_limit = suffix.suffix == "time_limit";
            if (time_limit ? command != "pipe" && command != "spawn" : !transport) continue;
            std::string name = piece.entry.fields[0] + '_' + std::string(suffix.suffix);
            out.emplace(name, main.raw(name));
        }
    }
}

Values collect(const Options& options, const config::MainCf& main, const Services& services) {
    auto in_class = [&](std::string_view name) {
        return options.parameter_class == "all" || options.parameter_class == name;
    };
    Values of_services;
    add_service_parameters(services, main, of_services);
    Values out;
    if (in_class("builtin")) {
        for (const auto& parameter : config::postfix_parameters()) {
            // local_destination_recipient_limit and the like belong to the service as soon as there is one.
            if (!of_services.contains(parameter.name)) out.emplace(parameter.name, main.raw(parameter.name));
        }
        if (options.defaults) out["config_directory"] = "/etc/postfix";
    }
    if (in_class("service")) out.insert(of_services.begin(), of_services.end());
    if (options.defaults) return out;
    auto used = main.used_names(&services.master);
    Values only_set;
    for (const auto& set : main.set_parameters()) {
        bool service = of_services.contains(set.name);
        bool builtin = !service && config::find_postfix_parameter(set.name);
        bool user = !builtin && !service && used.contains(set.name);
        if (!in_class(builtin ? "builtin" : service ? "service" : "user") || !(builtin || service || user)) continue;
        out[set.name] = set.value;
        only_set[set.name] = set.value;
    }
    if (options.directory_named && in_class("builtin")) {
        only_set["config_directory"] = options.directory;
        out["config_directory"] = options.directory;
    }
    return options.only_set ? only_set : out;
}

std::string shown(const Options& options, const config::MainCf& main, const std::string& name,
                  const std::string& value) {
    const auto* parameter = config::find_postfix_parameter(name);
    if (!options.expand || (parameter && parameter->kind == config::Kind::kRaw)) return value;
    auto expanded = main.try_expand(value);
    if (!expanded) fatal("macro processing error: " + expanded.error().text);
    return *expanded;
}

}   // namespace

void show_main(const Options& options) {
    auto main = load_main(options);
    auto services = load_services(options, main);
    auto values = collect(options, main, services);
    if (options.arguments.empty()) {
        for (const auto& [name, value] : values) print_setting(options, name, shown(options, main, name, value));
    }
    for (const auto& name : options.arguments) {
        auto found = values.find(name);
        if (found != values.end()) {
            print_setting(options, name, shown(options, main, name, found->second));
        } else if (!options.only_set) {
            warn(name + ": unknown parameter");
        }
    }
    if (options.defaults) return;
    std::fflush(stdout);
    for (const auto& warning : main.warnings(&services.master)) warn(warning);
}

}   // namespace postcot::postconf
