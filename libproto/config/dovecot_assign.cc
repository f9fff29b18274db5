// `key = value` at its place in dovecot.conf: under which name it is kept, whether its value can be, what $name in it stands for.
#include <cerrno>
#include <cstdlib>

#include "libproto/config/dovecot_names.h"
#include "libproto/config/dovecot_parser.h"
#include "libproto/config/dovecot_settings.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

std::string check_value(const Parameter& parameter, std::string_view section, const std::string& value, bool is_2_4) {
    bool boolean = false;
    int64_t number = 0;
    uint64_t size = 0;
    std::chrono::milliseconds time{};
    switch (parameter.kind) {
        case Kind::kBoolean:
            if (!parse_dovecot_boolean(value, boolean)) return "Invalid boolean value: " + value + " (use yes or no)";
            break;
        case Kind::kNumber:
            if (!parse_number(value, number) || number < 0) return "Invalid number " + value + ": Not a valid number";
            break;
        case Kind::kTime:
            if (!is_2_4 && parse_dovecot_time(value, time) && time.count() % 1000 != 0 &&
                parameter.name != "login_proxy_timeout" && parameter.name != "imapc_connection_retry_interval") {
                return "Milliseconds not supported for this setting: " + value;
            }
            if (!parse_dovecot_time(value, time)) {
                if (parse_number(value, number)) {
                    return "Time interval '" + value + "' is missing units (add e.g. 's' for seconds)";
                }
                return "Invalid time interval: " + value;
            }
            break;
        case Kind::kSize:
            if (!parse_dovecot_size(value, size)) return "Invalid size: " + value;
            break;
        case Kind::kOctal:
            if (!parse_octal(value, number) || number > 07777) return "Invalid octal number: " + value;
            break;
        default: break;
    }
    std::string_view words = dovecot_allowed_words(section, parameter.name);
    if (!words.empty() && !is_one_of(value, words))
        return "Invalid value: " + value + " (expected one of: " + std::string(words) + ')';
    return {};
}

// 2.4 writes "unlimited" and "infinite" where 2.3 has a number that means it.
void write_out_unlimited(const Parameter& parameter, std::string& value) {
    if (value != "unlimited" && value != "infinite") return;
    if (parameter.kind == Kind::kSize) value = "18446744073709551615 B";
    if (parameter.kind == Kind::kTime) value = "4294967295 secs";
    if (parameter.kind == Kind::kNumber) value = parameter.name == "service_count" ? "0" : "4294967295";
}

// Of protocols, Dovecot keeps the words.
std::string single_blanks(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
        out += c;
    }
    if (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

std::string unknown(const DovecotSection& section, std::string_view where, const std::string& key) {
    std::string out = "Unknown setting: " + (where.empty() ? key : section.type + " { " + key);
    std::string meant = likely_setting(where, where.empty() ? std::string_view() : std::string_view(section.name), key);
    return meant.empty() ? out : out + " (did you mean " + meant + "?)";
}

// Keeps one value for each key. A built-in service's value stays known as its default.
void store(DovecotSection& section, DovecotSection::Setting setting, bool built_in, bool weak) {
    if (built_in) {
        setting.default_value = setting.value;
        setting.has_default = true;
    }
    for (auto& old : section.settings) {
        if (old.key != setting.key) continue;
        if (weak && old.line > 0) return;
        setting.default_value = old.default_value;
        setting.has_default = old.has_default;
        old = std::move(setting);
        return;
    }
    section.settings.push_back(std::move(setting));
}

}   // namespace

bool holds_any_key(const DovecotSection& section) {
    return !section.served || section.list || section.type == "plugin" || section.type == "fields";
}

const std::string* DovecotParser::current_value(std::string_view key, std::string& storage) const {
    for (auto level = stack_.rbegin(); level != stack_.rend(); ++level) {
        if (holds_any_key(**level)) continue;   // names in plugin { } are not settings
        for (auto setting = (*level)->settings.rbegin(); setting != (*level)->settings.rend(); ++setting) {
            if (setting->key == key) return &setting->value;
        }
        if (const auto* parameter = find_dovecot_setting(dovecot_table_section((*level)->type), key)) {
            if (!(*level)->type.empty() && is_dovecot_filter((*level)->type))
                continue;   // the global value counts, not the default
            storage = parameter->default_value;
            return &storage;
        }
    }
    return nullptr;
}

// $name at the start of a word is the value the setting has at this point of the file; an unknown one stays as it is.
// $ENV:NAME is the environment's.
std::string DovecotParser::substitute(const std::string& key, const std::string& value) const {
    if (value.find('$') == std::string::npos) return value;
    std::string out;
    size_t i = 0;
    while (i < value.size()) {
        bool starts_word = i == 0 || value[i - 1] == ' ';
        if (value[i] != '$' || !starts_word) {
            out += value[i++];
            continue;
        }
        size_t end = i + 1;
        bool environment = value.compare(end, 4, "ENV:") == 0;
        if (environment) end += 4;
        size_t start = end;
        while (end < value.size() && (std::isalnum(static_cast<unsigned char>(value[end])) || value[end] == '_')) ++end;
        std::string name = value.substr(start, end - start);
        std::string storage;
        if (!expand_all_ && (environment || name != key)) {
            out += value.substr(i, end - i);
        } else if (environment) {
            const char* set = std::getenv(name.c_str());
            out += set ? set : "";
        } else if (const std::string* current = current_value(name, storage)) {
            out += *current;
        } else {
            out += value.substr(i, end - i);
        }
        i = end;
    }
    return out;
}

// Finds the name that `key` has in the setting table, or in fold_2_4_names(), and checks the value.
Expected<void> DovecotParser::place(DovecotSection& section, std::string& key, DovecotSection::Setting& setting) {
    std::string_view where = dovecot_table_section(section.type);
    std::string_view name = where.empty() ? std::string_view() : std::string_view(section.name);
    std::string full = dovecot_2_4_name(where, name, key);
    if (full.empty() && is_2_4_ && !built_in_) refused_by_2_4(where, key, setting);
    const Parameter* parameter = find_dovecot_setting(where, key);
    if (!parameter) {
        // service { service_user } and passdb pam { session }: the section's type, and its name, may be said again or left out.
        std::string brief =
            !where.empty() && full.starts_with(std::string(where) + '_') ? full.substr(where.size() + 1) : key;
        parameter = find_dovecot_setting(where, brief);
        for (const std::string& spelling : {key, full}) {
            if (parameter) break;
            std::string old_name = spelling;
            if (!translate_2_4_setting(where, old_name, setting.value, setting.from_file)) continue;
            parameter = find_dovecot_setting(where, old_name);
            brief = old_name;
        }
        if (!parameter && !known_2_4_setting(where, key)) {
            if (familiar_setting(where, name, key) == Familiar::kNo) return fail(EINVAL, unknown(section, where, key));
            if (known_2_4_setting(where, full)) brief = full;
        }
        if (parameter || !known_2_4_setting(where, key)) key = brief;
    }
    if (!parameter || setting.from_file) return {};
    write_out_unlimited(*parameter, setting.value);
    std::string wrong = check_value(*parameter, where, setting.value, is_2_4_);
    if (!wrong.empty()) return fail(EINVAL, wrong);
    return {};
}

void DovecotParser::refused_by_2_4(std::string_view where, const std::string& key,
                                   const DovecotSection::Setting& setting) {
    std::string_view now = dovecot_2_4_spelling(where, key);
    remarks_.push_back(setting.file + ':' + std::to_string(setting.line) + ": Dovecot 2.4 does not know " +
                       (where.empty() ? key : std::string(where) + " { " + key + " }") +
                       (now.empty() ? std::string() : " (there " + std::string(now) + ')') +
                       " and would not start with it");
}

void DovecotParser::refuse_section_for_2_4(const std::string& type, const std::string& name, const std::string& file,
                                           int line) {
    bool nameless = name.empty() && (type == "passdb" || type == "userdb" || type == "namespace");
    if (type != "plugin" && !nameless) return;
    remarks_.push_back(file + ':' + std::to_string(line) + ": Dovecot 2.4 does not know " +
                       (nameless ? "a " + type + " without a name" : type + " { }") + " and would not start with it");
}

Expected<void> DovecotParser::set(const std::string& written_key, DovecotSection::Setting setting, bool literal) {
    DovecotSection* section = stack_.back();
    std::string key = written_key;
    // plugin/name = value and service/name/key = value, as old files have it.
    size_t slash = key.find('/');
    size_t pushed = 0;
    if (slash != std::string::npos && section->type.empty()) {
        std::string type = key.substr(0, slash);
        std::string rest = key.substr(slash + 1);
        std::string name;
        if (type == "service") {
            size_t second = rest.find('/');
            if (second == std::string::npos) return fail(EINVAL, "Unknown setting: " + key);
            name = rest.substr(0, second);
            rest = rest.substr(second + 1);
        } else if (type != "plugin") {
            return fail(EINVAL, "Unknown setting: " + key);
        }
        if (auto done = open(type, name, setting.file, setting.line); !done) return done;
        ++pushed;
        section = stack_.back();
        key = rest;
    }
    if (section->type.empty() && key == "protocols") setting.value = single_blanks(setting.value);
    if (!literal && !setting.from_file && !built_in_) setting.value = substitute(key, setting.value);
    Expected<void> done;
    if (setting.value.size() > kMaxValue) done = fail(EINVAL, "the value of " + key + " is longer than 1 MB");
    // ssl_server { cert_file = F } is ssl_server_cert_file = F.
    if (done && is_dovecot_2_4_prefix(section->type) && stack_.size() > 1) {
        std::string full = dovecot_2_4_name(section->type, {}, key);
        if (full.empty()) {
            done = fail(EINVAL, unknown(*section, section->type, key));
        } else {
            key = full;
            section = stack_[stack_.size() - 2];
        }
    }
    if (done && !holds_any_key(*section)) done = place(*section, key, setting);
    if (done) {
        if (section->type.empty() && key == "dovecot_config_version") is_2_4_ = !setting.value.starts_with("2.3");
        setting.key = key;
        store(*section, std::move(setting), built_in_, replaying_);
    }
    while (pushed-- > 0) stack_.pop_back();
    return done;
}

}   // namespace postcot::config
