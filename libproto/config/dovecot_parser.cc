#include "libproto/config/dovecot_parser.h"

#include <glob.h>

#include <cerrno>
#include <cstdlib>

#include "libproto/config/dovecot_lexer.h"
#include "libproto/config/dovecot_names.h"
#include "libproto/config/dovecot_settings.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

constexpr int kMaxIncludeDepth = 16;
constexpr int kMaxFiles = 1000;
constexpr size_t kMaxNesting = 16;

// Which sections may stand in which. Filters hold whatever the top level holds.
bool may_contain(std::string_view parent, std::string_view child) {
    if (parent.empty() || is_dovecot_filter(parent)) {
        return is_dovecot_filter(child) || is_dovecot_2_4_prefix(child) || child == "service" || child == "passdb" ||
               child == "userdb" || child == "namespace" || child == "plugin" || child == "dict";
    }
    if (parent == "service") return child == "unix_listener" || child == "fifo_listener" || child == "inet_listener";
    if (parent == "namespace") return child == "mailbox";
    if (parent == "passdb" || parent == "userdb") return child == "fields" || child == std::string(parent) + "_fields";
    return false;
}

// protocols { imap = yes }, in 2.4: a list is a section, too.
bool is_list(std::string_view parent, std::string_view child) {
    return find_dovecot_setting(dovecot_table_section(parent), child) || dovecot_2_4_name({}, {}, child) == child;
}

// Two blocks of this type without a name are two things; of the others they are one.
bool always_new(std::string_view type, std::string_view name) {
    return (type == "passdb" || type == "userdb" || type == "namespace" || type == "mailbox") && name.empty();
}

DovecotSection* find_child(DovecotSection& parent, std::string_view type, std::string_view name) {
    for (auto& child : parent.children) {
        if (child->type == type && child->name == name) return child.get();
    }
    return nullptr;
}

}   // namespace

std::string DovecotParser::at(const std::string& file, int line) {
    return "Error in configuration file " + file + (line ? " line " + std::to_string(line) : "") + ": ";
}

bool is_dovecot_filter(std::string_view type) {
    return type == "protocol" || type == "local" || type == "remote" || type == "local_name";
}
bool is_dovecot_2_4_prefix(std::string_view type) { return type == "ssl_server" || type == "ssl_client"; }
std::string_view dovecot_table_section(std::string_view type) {
    return is_dovecot_filter(type) ? std::string_view{} : type;
}

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
    if (recording_)
        return fail(EINVAL, at(file_name, 0) + "Missing '}' (group " + recording_->label + " is not closed)");
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
        if (record_group(*read, file_name, first)) continue;
        if (read->what == DovecotLine::What::kClose && stack_.size() == opened)
            return fail(EINVAL, at(file_name, first) + "Unexpected '}'");
        if (auto done = apply(std::move(*read), file_name, first, depth); !done) return done;
    }
    if (stack_.size() > opened && depth > 0) {
        const auto& section = *stack_.back();
        return fail(EINVAL, at(file_name, 0) + "Missing '}' (section started at " + section.file + ':' +
                                std::to_string(section.line) + ')');
    }
    return {};
}

Expected<void> DovecotParser::apply(DovecotLine line, const std::string& file_name, int number, int depth) {
    Expected<void> done;
    switch (line.what) {
        case DovecotLine::What::kNothing: break;
        case DovecotLine::What::kInclude: done = include(line.value, file_name, true, depth); break;
        case DovecotLine::What::kIncludeTry: done = include(line.value, file_name, false, depth); break;
        case DovecotLine::What::kOpen: done = open(line.key, line.value, file_name, number); break;
        case DovecotLine::What::kClose: stack_.pop_back(); break;
        case DovecotLine::What::kSetting: {
            DovecotSection::Setting setting;
            setting.value = std::move(line.value);
            setting.file = file_name;
            setting.line = built_in_ ? 0 : number;
            setting.from_file = line.from_file;
            if (line.key.starts_with('@') && !built_in_ && stack_.back()->served) {
                done = use_group(line.key, setting.value, file_name, number);
            } else {
                done = set(line.key, std::move(setting), line.literal);
            }
            break;
        }
    }
    if (done || done.error().text.starts_with("Error in configuration file ")) return done;   // an included file's own
    return fail(EINVAL, at(file_name, number) + done.error().text);
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
    bool served = parent.served && may_contain(parent.type, type) && type != "dict";
    bool list = parent.served && !served && name.empty() && is_list(parent.type, type);
    // 2.4: mailbox NAME { } at the top holds for all namespaces, inet_listener NAME { } for all services.
    bool common =
        is_2_4_ && dovecot_table_section(parent.type).empty() && (type == "mailbox" || type.ends_with("_listener"));
    bool known = served || list || common || type == "dict" || is_dovecot_2_4_section(type);
    if (parent.served && !known) {
        std::string meant = likely_section(type);
        return fail(EINVAL, "Unknown setting: " + (parent.type.empty() ? type : parent.type + " { " + type) +
                                (meant.empty() ? meant : " (did you mean " + meant + " {?)"));
    }
    if (is_2_4_ && served && !replaying_) refuse_section_for_2_4(type, name, file, line);
    if (is_dovecot_filter(parent.type) && parent.type == type) {
        return fail(EINVAL, "Nested " + type + " { " + type + " { .. } } block not allowed");
    }
    if (stack_.size() > kMaxNesting) return fail(EINVAL, "sections are nested too deeply");
    if (served &&
        (type == "protocol" || type == "local" || type == "remote" || type == "local_name" || type == "service" ||
         type == "mailbox") &&
        name.empty()) {
        return fail(EINVAL, "expected a name after '" + type + "'");
    }
    DovecotSection* section = always_new(type, name) ? nullptr : find_child(parent, type, name);
    if (section && served && !replaying_ && (type == "passdb" || type == "userdb"))
        return fail(EINVAL, type + '/' + name + " already exists");
    if (!section) {
        parent.children.push_back(std::make_unique<DovecotSection>());
        section = parent.children.back().get();
        section->type = type;
        section->name = name;
        section->root = root_.get();
        section->built_in = built_in_;
        section->served = served || list;
        section->list = list;
        if (type.ends_with("_fields") && served) section->type = "fields";
    }
    if (section->line == 0 && !built_in_) {
        section->file = file;
        section->line = line;
    }
    stack_.push_back(section);
    return {};
}

Expected<std::unique_ptr<DovecotSection>> DovecotParser::finish() {
    if (auto done = apply_groups(); !done) return fail(done.error());
    fold_2_4_names(*root_);
    return std::move(root_);
}

}   // namespace postcot::config
