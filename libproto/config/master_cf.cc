// master.cf (master(5)): one service per logical line.
#include <cerrno>

#include "libproto/config/logical_lines.h"
#include "libproto/config/master_fields.h"
#include "libproto/config/postfix.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

std::string without_braces(const std::string& field) {
    if (field.size() < 2 || field.front() != '{') return field;
    return std::string(trim(std::string_view(field).substr(1, field.size() - 2)));
}

// "y", "n" or "-".
bool parse_flag(const std::string& field, bool default_value, bool& value) {
    value = field == "-" ? default_value : field == "y";
    return field == "y" || field == "n" || field == "-";
}

// master(8) starts each service with its own $service_name; one Postcot daemon serves several services, so it is filled in here.
std::string with_service_name(std::string_view value, std::string_view service) {
    std::string out(value);
    for (std::string_view reference : {"${service_name}", "$(service_name)", "$service_name"}) {
        for (size_t at = out.find(reference); at != std::string::npos; at = out.find(reference, at)) {
            out.replace(at, reference.size(), service);
            at += service.size();
        }
    }
    return out;
}

Expected<void> parse_arguments(std::vector<std::string> fields, MasterService& service) {
    size_t i = 0;
    for (; i < fields.size() && fields[i].size() > 1 && fields[i].front() == '-'; ++i) {
        if (fields[i] == "--") {
            ++i;
            break;
        }
        if (!fields[i].starts_with("-o")) {
            service.arguments.push_back(fields[i]);
            continue;
        }
        std::string setting;
        if (fields[i].size() > 2) {
            setting = fields[i].substr(2);
        } else if (++i < fields.size()) {
            setting = without_braces(fields[i]);
        } else {
            return fail(EINVAL, "expected name=value after -o");
        }
        size_t equals = setting.find('=');
        std::string name(trim(std::string_view(setting).substr(0, equals)));
        if (equals == std::string::npos || !is_parameter_name(name))
            return fail(EINVAL, "expected name=value after -o, got \"" + setting + '"');
        service.overrides.emplace_back(
            name, with_service_name(trim(std::string_view(setting).substr(equals + 1)), service.name));
    }
    for (; i < fields.size(); ++i) service.arguments.push_back(without_braces(fields[i]));
    return {};
}

Expected<MasterService> parse_service(std::string_view line, const MainCf& main) {
    auto split = split_master_fields(line);
    if (!split) return fail(split.error());
    auto& fields = *split;
    if (fields.size() < 8) {
        return fail(EINVAL,
                    "bad field count: expected service type private unprivileged chroot wakeup maxproc command, got " +
                        std::to_string(fields.size()) + " fields");
    }
    MasterService service;
    service.name = fields[0];
    service.type = fields[1];
    if (service.type != "inet" && service.type != "unix" && service.type != "fifo" && service.type != "pass" &&
        service.type != "unix-dgram") {
        return fail(EINVAL, "expected type inet, unix, fifo, pass or unix-dgram, got \"" + service.type + '"');
    }
    if (!parse_flag(fields[2], true, service.is_private))
        return fail(EINVAL, "private: expected y, n or -, got \"" + fields[2] + '"');
    if (service.type == "inet" && service.is_private) return fail(EINVAL, "private: an inet service must have n here");
    if (!parse_flag(fields[3], true, service.unprivileged)) {
        return fail(EINVAL, "unprivileged: expected y, n or -, got \"" + fields[3] + '"');
    }
    bool chroot_default = main.expand("${{$compatibility_level} <level {1} ? {y} : {n}}") == "y";
    if (!parse_flag(fields[4], chroot_default, service.chroot))
        return fail(EINVAL, "chroot: expected y, n or -, got \"" + fields[4] + '"');
    std::string wakeup = fields[5];
    if (wakeup.ends_with('?')) {
        service.wakeup_if_used = true;
        wakeup.pop_back();
    }
    int64_t number = 0;
    if (wakeup != "-" && (!parse_number(wakeup, number) || number < 0 || number > 100000000)) {
        return fail(EINVAL, "wakeup: expected seconds or -, got \"" + fields[5] + '"');
    }
    service.wakeup_seconds = static_cast<int>(number);
    number = main.integer("default_process_limit");
    if (fields[6] != "-" && (!parse_number(fields[6], number) || number < 0 || number > 100000000)) {
        return fail(EINVAL, "maxproc: expected a number or -, got \"" + fields[6] + '"');
    }
    service.max_processes = static_cast<int>(number);
    service.command = fields[7];
    fields.erase(fields.begin(), fields.begin() + 8);
    if (auto done = parse_arguments(std::move(fields), service); !done) return fail(done.error());
    return service;
}

}   // namespace

Expected<std::vector<std::string>> split_master_fields(std::string_view line) {
    std::vector<std::string> fields;
    size_t i = 0;
    while (i < line.size()) {
        if (is_space(line[i])) {
            ++i;
            continue;
        }
        size_t start = i;
        if (line[i] == '{') {
            int depth = 0;
            for (; i < line.size(); ++i) {
                if (line[i] == '{') ++depth;
                if (line[i] == '}' && --depth == 0) break;
            }
            if (i == line.size())
                return fail(EINVAL, "expected '}' after \"" + std::string(line.substr(start, 60)) + '"');
            ++i;
            if (i < line.size() && !is_space(line[i])) {
                return fail(EINVAL, "expected white space after '}' at \"" + std::string(line.substr(i, 60)) + '"');
            }
        } else {
            while (i < line.size() && !is_space(line[i])) ++i;
        }
        fields.emplace_back(line.substr(start, i - start));
    }
    return fields;
}

bool is_parameter_name(std::string_view name) {
    for (char c : name) {
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-' || c == '.';
        if (!good) return false;
    }
    return !name.empty();
}

std::pair<std::string, std::string> MasterService::host_port() const {
    size_t colon = name.rfind(':');
    if (colon == std::string::npos) return {"", name};
    std::string host = name.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return {host, name.substr(colon + 1)};
}

Expected<MasterCf> MasterCf::load(const std::string& directory, const MainCf& main) {
    auto text = read_text(directory + "/master.cf");
    if (!text) return fail(text.error());
    return parse(*text, directory + "/master.cf", main);
}

Expected<MasterCf> MasterCf::parse(std::string_view text, const std::string& file_name, const MainCf& main) {
    MasterCf out;
    out.file_ = file_name;
    LogicalLines lines(text);
    std::string line;
    while (lines.next(line)) {
        std::string where = file_name + ": line " + std::to_string(lines.first_line()) + ": ";
        if (lines.starts_blank()) return fail(EINVAL, where + "logical line must not start with whitespace");
        if (line.find('\0') != std::string::npos) return fail(EINVAL, where + "a NUL byte is not allowed here");
        auto service = parse_service(line, main);
        if (!service) return fail(EINVAL, where + service.error().text);
        service->line = lines.first_line();
        bool replaced = false;
        for (auto& known : out.services_) {
            if (known.name != service->name || known.type != service->type) continue;
            out.remarks_.push_back(where + "duplicate service " + service->name + ' ' + service->type +
                                   " replaces that of line " + std::to_string(known.line));
            known = *service;
            replaced = true;
        }
        if (!replaced) out.services_.push_back(std::move(*service));
    }
    return out;
}

const MasterService* MasterCf::find(std::string_view name, std::string_view type) const {
    for (const auto& service : services_) {
        if (service.name == name && service.type == type) return &service;
    }
    return nullptr;
}

Expected<std::optional<MainCf>> main_of(const MainCf& main, const MasterCf& master, std::string_view name,
                                        std::string_view command) {
    for (const auto& service : master.services()) {
        if (service.command != command || service.type == "inet" || (!name.empty() && service.name != name)) continue;
        auto overridden = main.with_overrides(service.overrides);
        if (!overridden) {
            auto error = std::move(overridden.error());
            error.text = master.file() + ": line " + std::to_string(service.line) + ": service " + service.name + ": " +
                         error.text;
            return fail(std::move(error));
        }
        return std::optional<MainCf>(std::move(*overridden));
    }
    return std::optional<MainCf>{};
}

}   // namespace postcot::config
