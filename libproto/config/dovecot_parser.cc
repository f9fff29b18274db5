#include "libproto/config/dovecot_parser.h"

#include <glob.h>

#include <cerrno>
#include <cstdlib>

#include "libproto/config/dovecot_lexer.h"
#include "libproto/config/dovecot_settings.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

constexpr int kMaxIncludeDepth = 16;
constexpr int kMaxFiles = 1000;
constexpr size_t kMaxNesting = 16;
constexpr size_t kMaxValue = size_t{1} << 20;

bool is_filter(std::string_view type) {
    return type == "protocol" || type == "local" || type == "remote" || type == "local_name";
}

// Which sections may stand in which. Filters hold whatever the top level holds.
bool may_contain(std::string_view parent, std::string_view child) {
    if (parent.empty() || is_filter(parent)) {
        return is_filter(child) || child == "service" || child == "passdb" || child == "userdb" ||
               child == "namespace" || child == "plugin" || child == "dict" || child == "protocols" ||
               child == "mail_plugins" || child == "auth_mechanisms" || child == "import_environment";
    }
    if (parent == "service") return child == "unix_listener" || child == "fifo_listener" || child == "inet_listener";
    if (parent == "namespace") return child == "mailbox";
    if (parent == "passdb" || parent == "userdb") return child == "fields";
    return false;
}

// Any name is a setting there: plugin { }, dict { }, and 2.4's lists { name = yes }.
bool holds_any_key(std::string_view type) {
    return type == "plugin" || type == "dict" || type == "fields" || type == "protocols" || type == "mail_plugins" ||
           type == "auth_mechanisms" || type == "import_environment";
}

// Two blocks of this type without a name are two things; of the others they are one.
bool always_new(std::string_view type, std::string_view name) {
    return (type == "passdb" || type == "userdb" || type == "namespace" || type == "mailbox") && name.empty();
}

std::string_view table_section(std::string_view type) { return is_filter(type) ? std::string_view{} : type; }

std::string check_value(const Parameter& parameter, std::string_view section, const std::string& value) {
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
            if (parse_dovecot_time(value, time) && time.count() % 1000 != 0 &&
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

DovecotSection* find_child(DovecotSection& parent, std::string_view type, std::string_view name) {
    for (auto& child : parent.children) {
        if (child->type == type && child->name == name) return child.get();
    }
    return nullptr;
}

std::string at(const std::string& file, int line) {
    return "Error in configuration file " + file + (line ? " line " + std::to_string(line) : "") + ": ";
}

}   // namespace

DovecotParser::DovecotParser(bool follow_includes, bool expand_all)
    : follow_includes_(follow_includes), expand_all_(expand_all), root_(std::make_unique<DovecotSection>()) {
    stack_.push_back(root_.get());
    built_in_ = true;
    auto done = parse_text(dovecot_built_in_services(), "", 0);
    if (!done) std::abort();   // the text is ours: tests/unit/config reads it
    built_in_ = false;
}

Expected<void> DovecotParser::parse(std::string_view text, const std::string& file_name) {
    if (auto done = parse_text(text, file_name, 0); !done) return done;
    if (stack_.size() > 1) {
        const auto& open = *stack_.back();
        return fail(EINVAL, at(file_name, 0) + "Missing '}' (section started at " + open.file + ':' +
                                std::to_string(open.line) + ')');
    }
    return {};
}

Expected<void> DovecotParser::parse_text(std::string_view text, const std::string& file_name, int depth) {
    if (depth > kMaxIncludeDepth || ++files_ > kMaxFiles)
        return fail(EINVAL, at(file_name, 0) + "too many nested !include files");
    size_t opened = stack_.size();
    int number = 0;
    std::string line;
    int first = 0;
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view physical = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        ++number;
        bool doubtful = false;
        std::string_view piece = trim(without_dovecot_comment(physical, doubtful));
        if (doubtful) {
            remarks_.push_back(
                "Configuration file " + file_name + " line " + std::to_string(number) +
                ": Ambiguous '#' character in line, treating it as comment. Add a space before it to remove "
                "this warning.");
        }
        if (line.empty()) {
            first = number;
            if (piece.empty()) continue;
        } else if (!piece.empty() && piece != "\\") {
            line += ' ';
        }
        if (piece.ends_with('\\')) {   // continues on the next line
            line += trim(piece.substr(0, piece.size() - 1));
            if (!text.empty()) continue;
        } else {
            line += piece;
        }
        if (line.find('\0') != std::string::npos)
            return fail(EINVAL, at(file_name, first) + "a NUL byte is not allowed here");
        auto read = read_dovecot_line(line);
        line.clear();
        if (!read) return fail(EINVAL, at(file_name, first) + read.error().text);
        Expected<void> done;
        switch (read->what) {
            case DovecotLine::What::kNothing: break;
            case DovecotLine::What::kInclude: done = include(read->value, file_name, true, depth); break;
            case DovecotLine::What::kIncludeTry: done = include(read->value, file_name, false, depth); break;
            case DovecotLine::What::kOpen: done = open(read->key, read->value, file_name, first); break;
            case DovecotLine::What::kClose:
                if (stack_.size() == opened) return fail(EINVAL, at(file_name, first) + "Unexpected '}'");
                stack_.pop_back();
                break;
            case DovecotLine::What::kSetting: {
                DovecotSection::Setting setting;
                setting.value = std::move(read->value);
                setting.file = file_name;
                setting.line = built_in_ ? 0 : first;
                setting.from_file = read->from_file;
                done = set(read->key, std::move(setting), read->literal);
                break;
            }
        }
        if (!done) {
            if (done.error().text.starts_with("Error in configuration file ")) return done;   // an included file's own
            return fail(EINVAL, at(file_name, first) + done.error().text);
        }
    }
    if (stack_.size() > opened && depth > 0) {
        const auto& section = *stack_.back();
        return fail(EINVAL, at(file_name, 0) + "Missing '}' (section started at " + section.file + ':' +
                                std::to_string(section.line) + ')');
    }
    return {};
}

Expected<void> DovecotParser::include(const std::string& pattern, const std::string& from, bool must_exist, int depth) {
    if (!follow_includes_) {
        if (!must_exist) return {};
        return fail(EINVAL, "!include is only possible in a file");
    }
    std::string path = pattern;
    size_t slash = from.rfind('/');
    if (!path.starts_with('/') && slash != std::string::npos) path = from.substr(0, slash + 1) + path;
    glob_t found{};
    int rc = ::glob(path.c_str(), GLOB_BRACE, nullptr, &found);
    std::vector<std::string> files;
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (files.empty()) {
        if (!must_exist) return {};
        return fail(ENOENT, "No matches for " + path);
    }
    for (const auto& file : files) {
        auto text = read_text(file);
        if (!text) {
            if (!must_exist) continue;
            return fail(text.error());
        }
        if (auto done = parse_text(*text, file, depth + 1); !done) return done;
    }
    return {};
}

Expected<void> DovecotParser::open(const std::string& type, const std::string& name, const std::string& file,
                                   int line) {
    DovecotSection& parent = *stack_.back();
    if (!may_contain(parent.type, type)) {
        return fail(EINVAL, "Unknown setting: " + (parent.type.empty() ? type : parent.type + " { " + type));
    }
    if (is_filter(parent.type) && parent.type == type) {
        return fail(EINVAL, "Nested " + type + " { " + type + " { .. } } block not allowed");
    }
    if (stack_.size() > kMaxNesting) return fail(EINVAL, "sections are nested too deeply");
    if ((type == "protocol" || type == "local" || type == "remote" || type == "local_name" || type == "service" ||
         type == "mailbox") &&
        name.empty()) {
        return fail(EINVAL, "expected a name after '" + type + "'");
    }
    DovecotSection* section = always_new(type, name) ? nullptr : find_child(parent, type, name);
    if (section && (type == "passdb" || type == "userdb")) return fail(EINVAL, type + '/' + name + " already exists");
    if (!section) {
        parent.children.push_back(std::make_unique<DovecotSection>());
        section = parent.children.back().get();
        section->type = type;
        section->name = name;
        section->root = root_.get();
        section->built_in = built_in_;
    }
    if (section->line == 0 && !built_in_) {
        section->file = file;
        section->line = line;
    }
    stack_.push_back(section);
    return {};
}

const std::string* DovecotParser::current_value(std::string_view key, std::string& storage) const {
    for (auto level = stack_.rbegin(); level != stack_.rend(); ++level) {
        if (holds_any_key((*level)->type)) continue;   // names in plugin { } are not settings
        for (auto setting = (*level)->settings.rbegin(); setting != (*level)->settings.rend(); ++setting) {
            if (setting->key == key) return &setting->value;
        }
        if (const auto* parameter = find_dovecot_setting(table_section((*level)->type), key)) {
            if (!(*level)->type.empty() && is_filter((*level)->type))
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
    if (!literal && !setting.from_file && !built_in_) setting.value = substitute(key, setting.value);
    Expected<void> done;
    if (setting.value.size() > kMaxValue) done = fail(EINVAL, "the value of " + key + " is longer than 1 MB");
    if (done && !holds_any_key(section->type)) {
        std::string_view where = table_section(section->type);
        const Parameter* parameter = find_dovecot_setting(where, key);
        if (!parameter && translate_2_4_setting(where, key, setting.value, setting.from_file)) {
            parameter = find_dovecot_setting(where, key);
        }
        if (parameter) {
            std::string wrong = setting.from_file ? std::string() : check_value(*parameter, where, setting.value);
            if (!wrong.empty()) done = fail(EINVAL, wrong);
        } else if (!known_2_4_setting(where, key)) {
            done = fail(EINVAL, "Unknown setting: " + (where.empty() ? key : section->type + " { " + key));
        }
    }
    if (done) {
        setting.key = key;
        if (built_in_) {
            setting.default_value = setting.value;
            setting.has_default = true;
        }
        bool replaced = false;
        for (auto& old : section->settings) {
            if (old.key == key) {
                setting.default_value = old.default_value;
                setting.has_default = old.has_default;
                old = setting;
                replaced = true;
            }
        }
        if (!replaced) section->settings.push_back(std::move(setting));
    }
    while (pushed-- > 0) stack_.pop_back();
    return done;
}

Expected<std::unique_ptr<DovecotSection>> DovecotParser::finish() {
    fold_2_4_names(*root_);
    return std::move(root_);
}

}   // namespace postcot::config
