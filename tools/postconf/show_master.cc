// postconf -M, -F, -P: services of master.cf, their fields, their parameters.
#include <algorithm>
#include <cstdio>

#include "tools/postconf/postconf.h"

namespace postcot::postconf {
namespace {

std::string service_and_type(const config::MasterEntry& entry) { return entry.fields[0] + '/' + entry.fields[1]; }

// Expands the values of -o settings as the service itself would see them.
std::string expanded(const config::MainCf& main, const config::MasterEntry& entry, const std::string& value) {
    auto settings = entry.overrides();
    settings.emplace_back("service_name", entry.fields[0]);
    auto own = main.with_overrides(settings);
    auto result = own ? own->try_expand(value) : main.try_expand(value);
    if (!result) fatal("macro processing error: " + result.error().text);
    return *result;
}

void show_entry(const Options& options, const config::MainCf& main, const config::MasterEntry& entry) {
    config::MasterEntry shown = entry;
    if (options.expand) {
        for (const auto& [name, value] : entry.overrides()) shown.set_override(name, expanded(main, entry, value));
    }
    std::puts(shown.format(options.fold).c_str());
}

void show_field(const Options& options, const config::MasterEntry& entry, size_t index) {
    std::string value = index == 7 ? entry.command_line() : entry.fields[index];
    print_setting(options, service_and_type(entry) + '/' + std::string(field_name(index)), value);
}

void show_parameter(const Options& options, const config::MainCf& main, const config::MasterEntry& entry,
                    const std::string& name, const std::string& value) {
    print_setting(options, service_and_type(entry) + '/' + name, options.expand ? expanded(main, entry, value) : value);
}

// Shows what `last` (a field, a parameter or "*") names in one service; false when it names nothing there.
bool show_part(const Options& options, const config::MainCf& main, const config::MasterEntry& entry,
               std::string_view last) {
    bool shown = false;
    if (options.what == 'F') {
        for (size_t i = 0; i < 8; ++i) {
            if (last != "*" && last != field_name(i)) continue;
            show_field(options, entry, i);
            shown = true;
        }
        return shown;
    }
    auto settings = entry.overrides();
    std::sort(settings.begin(), settings.end());
    for (const auto& [name, value] : settings) {
        if (last != "*" && last != name) continue;
        show_parameter(options, main, entry, name, value);
        shown = true;
    }
    return shown;
}

// service, service/type, service/type/field: where the last part begins, npos when the pattern has none.
size_t last_part(std::string_view pattern) {
    size_t slash = pattern.rfind('/');
    if (slash == std::string_view::npos || slash == 0) return std::string_view::npos;
    return pattern.find('/') == slash ? std::string_view::npos : slash + 1;
}

}   // namespace

void show_master(const Options& options) {
    auto main = load_main(options);
    auto services = load_services(options, main);
    std::vector<std::string> patterns = options.arguments;
    bool all = patterns.empty();
    if (all) patterns.emplace_back("*");
    for (const auto& pattern : patterns) {
        size_t last = options.what == 'M' ? std::string_view::npos : last_part(pattern);
        std::string_view service =
            std::string_view(pattern).substr(0, last == std::string_view::npos ? last : last - 1);
        std::string_view part =
            last == std::string_view::npos ? std::string_view("*") : std::string_view(pattern).substr(last);
        if (options.what == 'F' && part != "*" && field_index(part) < 0)
            fatal("invalid service attribute name: \"" + std::string(part) + '"');
        bool matched = false;
        for (const auto& piece : services.pieces) {
            if (!piece.is_entry || !names_service(service, piece.entry)) continue;
            if (options.what == 'M') {
                show_entry(options, main, piece.entry);
                matched = true;
            } else if (show_part(options, main, piece.entry, part)) {
                matched = true;
            }
        }
        if (!matched && !all) warn("unmatched request: \"" + pattern + '"');
    }
    std::fflush(stdout);
    for (const auto& warning : main.warnings(&services.master)) {
        if (warning.starts_with(services.master.file())) warn(warning);
    }
}

}   // namespace postcot::postconf
