#include "tools/doveconf/print.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "libproto/config/dovecot_settings.h"
#include "libproto/config/values.h"
#include "tools/doveconf/secrets.h"

namespace postcot::doveconf {
namespace {

using config::DovecotSection;
using config::Kind;

bool is_filter(std::string_view type) {
    return type == "protocol" || type == "local" || type == "remote" || type == "local_name";
}

std::string_view table_section(const DovecotSection& section) {
    return is_filter(section.type) ? std::string_view{} : std::string_view(section.type);
}

std::string format_time(std::chrono::milliseconds value) {
    static constexpr struct {
        int64_t milliseconds;
        const char* name;
    } kUnits[] = {{604800000, "weeks"}, {86400000, "days"}, {3600000, "hours"},
                  {60000, "mins"},      {1000, "secs"},     {1, "msecs"}};
    int64_t number = value.count();
    if (number == 0) return "0";
    for (const auto& unit : kUnits) {
        if (number % unit.milliseconds == 0) return std::to_string(number / unit.milliseconds) + ' ' + unit.name;
    }
    return std::to_string(number);
}

std::string format_size(uint64_t value) {
    static constexpr const char* kUnits[] = {"B", "k", "M", "G", "T"};
    if (value == 0) return "0";
    size_t unit = 0;
    while (unit + 1 < std::size(kUnits) && value % 1024 == 0) {
        value /= 1024;
        ++unit;
    }
    return std::to_string(value) + ' ' + kUnits[unit];
}

// As doveconf writes values of this kind, whatever the file had: 7200s is "2 hours".
std::string normal_form(Kind kind, const std::string& value) {
    bool boolean = false;
    int64_t number = 0;
    uint64_t size = 0;
    std::chrono::milliseconds time{};
    char octal[16];
    switch (kind) {
        case Kind::kBoolean: return config::parse_dovecot_boolean(value, boolean) ? (boolean ? "yes" : "no") : value;
        case Kind::kTime: return config::parse_dovecot_time(value, time) ? format_time(time) : value;
        case Kind::kSize: return config::parse_dovecot_size(value, size) ? format_size(size) : value;
        case Kind::kOctal:
            if (!config::parse_octal(value, number)) return value;
            std::snprintf(octal, sizeof octal, "0%o", static_cast<unsigned>(number));
            return octal;
        default: return value;
    }
}

std::string quoted(std::string_view value) {
    std::string out = "\"";
    for (char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string as_written(std::string_view value) {
    auto blank = [](char c) { return c == ' ' || c == '\t'; };
    bool quotes =
        value.find('#') != std::string_view::npos || (!value.empty() && (blank(value.front()) || blank(value.back())));
    return quotes ? quoted(value) : std::string(value);
}

std::string name_as_written(std::string_view name) {
    return name.find_first_of(" \t\"#{}") == std::string_view::npos ? std::string(name) : quoted(name);
}

// Dovecot sorts by path, '/' between the parts and blanks written as "\_".
std::string sort_key(std::string_view name) {
    std::string out;
    for (char c : name) {
        if (c == ' ') {
            out += "\\_";
        } else if (c == '/') {
            out += "\\s";
        } else {
            out += c;
        }
    }
    return out;
}

struct Value {
    std::string text;   // in normal form
    bool from_file = false;
    bool set = false;       // by the file
    bool differs = false;   // from the default
};

// Every setting of the section that is to be seen, by name.
std::map<std::string, Value> values_of(const DovecotSection& section, bool with_defaults) {
    std::map<std::string, Value> out;
    std::string_view type = table_section(section);
    if (with_defaults && !is_filter(section.type)) {
        for (const auto& known : config::dovecot_settings()) {
            if (known.section == type) out[std::string(known.parameter.name)].text = known.parameter.default_value;
        }
    }
    for (const auto& setting : section.settings) {
        const auto* parameter = config::find_dovecot_setting(type, setting.key);
        Value value;
        value.text = parameter && !setting.from_file ? normal_form(parameter->kind, setting.value) : setting.value;
        value.from_file = setting.from_file;
        value.set = setting.line > 0;
        // A listener that Dovecot does not have by itself shows everything it was given.
        bool own_listener = section.type.ends_with("_listener") && !section.built_in;
        std::string default_value = setting.has_default ? setting.default_value
                                    : parameter         ? std::string(parameter->default_value)
                                                        : std::string();
        value.differs = value.set && (!parameter || is_filter(section.type) || setting.from_file || own_listener ||
                                      value.text != normal_form(parameter->kind, default_value));
        if (value.set || with_defaults) out[setting.key] = std::move(value);
    }
    return out;
}

bool shown(const Options& options, const Value& value) {
    return options.all || (options.set ? value.set : value.differs);
}

void print_value(const Options& options, const std::string& indent, const std::string& name, const Value& value,
                 bool named, std::string_view section = {}) {
    std::string text = value.from_file ? '<' + value.text : value.text;
    bool bare = options.no_names || named;
    bool hides = !options.show_secrets && !named;
    // 2.4's mysql { password } is mysql_password.
    bool secret = is_secret(name) || (!section.empty() && is_secret(std::string(section) + '_' + name));
    if (hides && secret && !text.empty()) {
        text = "# hidden, use -P to show it";
    } else {
        std::string safe = hides ? without_secrets(text) : text;
        text = bare || safe != text ? safe : as_written(text);   // Dovecot does not quote what it has put its sign into
    }
    if (options.only_names) {
        std::printf("%s%s\n", indent.c_str(), name.c_str());
    } else if (options.no_names) {
        std::puts(text.c_str());
    } else {
        std::printf("%s%s = %s\n", indent.c_str(), name.c_str(), text.c_str());
    }
}

void print_section(const Options& options, const DovecotSection& section, int depth);

// True when something of the section would be printed.
bool has_output(const Options& options, const DovecotSection& section) {
    bool free_form = is_filter(section.type) || section.type == "plugin" || section.type == "dict";
    if (options.all) return !free_form || !section.settings.empty() || !section.children.empty();
    if (section.type == "passdb" || section.type == "userdb" || section.type == "namespace") return section.line > 0;
    for (const auto& [name, value] : values_of(section, false)) {
        if (shown(options, value)) return true;
    }
    return std::any_of(section.children.begin(), section.children.end(),
                       [&](const auto& child) { return has_output(options, *child); });
}

void print_content(const Options& options, const DovecotSection& section, int depth) {
    std::string indent(static_cast<size_t>(depth) * 2, ' ');
    struct Item {
        std::string name;
        const Value* value = nullptr;
        const DovecotSection* child = nullptr;
    };
    auto values = values_of(section, options.all);
    // Dovecot shows these two of every namespace.
    static const Value kEmpty;
    if (section.type == "namespace" && !options.all) {
        for (const char* name : {"location", "prefix"}) {
            if (!values.contains(name)) values[name] = kEmpty;
            values[name].differs = values[name].set = true;
        }
    }
    std::multimap<std::string, Item> items;
    for (const auto& [name, value] : values) {
        if (shown(options, value)) items.insert({name, Item{name, &value, nullptr}});
    }
    std::vector<const DovecotSection*> filters;
    char number[16];
    int position = 0;
    for (const auto& child : section.children) {
        if (!has_output(options, *child)) continue;
        if (is_filter(child->type)) {
            filters.push_back(child.get());
            continue;
        }
        bool in_order = child->type == "passdb" || child->type == "userdb" || child->type == "namespace";
        std::snprintf(number, sizeof number, "%06d", position++);
        items.insert({child->type + '/' + (in_order ? std::string(number) : sort_key(child->name)) + '/',
                      Item{{}, nullptr, child.get()}});
    }
    for (const auto& [key, item] : items) {
        if (item.child) {
            print_section(options, *item.child, depth);
        } else {
            bool of_2_4 = !section.served && section.type != "dict";
            print_value(options, indent, item.name, *item.value, false, of_2_4 ? section.type : std::string_view{});
        }
    }
    auto rank = [](const DovecotSection* filter) {
        return filter->type == "protocol" ? 0 : filter->type == "remote" ? 1 : filter->type == "local" ? 2 : 3;
    };
    std::stable_sort(filters.begin(), filters.end(), [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
    for (const auto* filter : filters) print_section(options, *filter, depth);
}

void print_section(const Options& options, const DovecotSection& section, int depth) {
    std::string indent(static_cast<size_t>(depth) * 2, ' ');
    std::string name = section.name.empty() ? std::string() : ' ' + name_as_written(section.name);
    std::printf("%s%s%s {\n", indent.c_str(), section.type.c_str(), name.c_str());
    print_content(options, section, depth + 1);
    std::printf("%s}\n", indent.c_str());
}

}   // namespace

void print_all(const Options& options, const config::DovecotConf& conf) { print_content(options, conf.root(), 0); }

bool print_named(const Options& options, const config::DovecotConf& conf, std::string_view name) {
    Options everything = options;
    everything.all = true;
    size_t slash = name.find('/');
    std::string_view type = name.substr(0, slash);
    if (slash == std::string_view::npos) {
        auto sections = conf.sections(name);
        bool in_order = name == "passdb" || name == "userdb" || name == "namespace";
        if (!in_order) {
            std::sort(sections.begin(), sections.end(),
                      [](const auto* a, const auto* b) { return sort_key(a->name) + '/' < sort_key(b->name) + '/'; });
        }
        for (const auto* section : sections) {
            if (has_output(everything, *section)) print_section(everything, *section, 0);
        }
        if (!sections.empty()) return true;
        const auto* parameter = config::find_dovecot_setting("", name);
        if (!parameter) return false;
        Value value;
        std::string path = conf.file(name, options.protocol);
        value.from_file = !path.empty() && !options.expand_files;
        value.text = value.from_file ? conf.written(name, options.protocol) : conf.str(name, options.protocol);
        if (!value.from_file && path.empty()) value.text = normal_form(parameter->kind, value.text);
        print_value(options, "", std::string(name), value, true);
        return true;
    }
    std::string_view rest = name.substr(slash + 1);
    if (type == "plugin") {
        Value value;
        value.text = conf.plugin(rest);
        print_value(options, "", std::string(name), value, true);
        return true;
    }
    // service/NAME and service/NAME/setting
    size_t second = rest.find('/');
    const auto* section = conf.section(type, rest.substr(0, second));
    if (!section) return false;
    if (second == std::string_view::npos) {
        print_section(everything, *section, 0);
        return true;
    }
    std::string_view key = rest.substr(second + 1);
    const auto* parameter = config::find_dovecot_setting(section->type, key);
    if (!parameter) return false;
    Value value;
    value.text = normal_form(parameter->kind, section->str(key));
    print_value(options, "", std::string(name), value, true);
    return true;
}

}   // namespace postcot::doveconf
