// The typed view of a parsed dovecot.conf.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libproto/config/dovecot.h"
#include "libproto/config/dovecot_not_served.h"
#include "libproto/config/dovecot_parser.h"
#include "libproto/config/dovecot_settings.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

bool is_filter(const DovecotSection& section) {
    return section.type == "protocol" || section.type == "local" || section.type == "remote" ||
           section.type == "local_name";
}

const DovecotSection::Setting* find(const DovecotSection& section, std::string_view key) {
    for (const auto& setting : section.settings) {
        if (setting.key == key) return &setting;
    }
    return nullptr;
}

std::string path_of(const DovecotSection::Setting& setting) {
    if (setting.value.starts_with('/')) return setting.value;
    size_t slash = setting.file.rfind('/');
    return slash == std::string::npos ? setting.value : setting.file.substr(0, slash + 1) + setting.value;
}

std::string value_of(const DovecotSection::Setting& setting) {
    if (!setting.from_file) return setting.value;
    auto text = read_text(path_of(setting));
    return text ? *text : std::string{};
}

bool to_boolean(const std::string& text) {
    bool value = false;
    return parse_dovecot_boolean(text, value) && value;
}
int64_t to_integer(const std::string& text, std::string_view key) {
    int64_t value = 0;
    bool good = key == "mode" ? parse_octal(text, value) : parse_number(text, value);
    return good ? value : 0;
}
uint64_t to_size(const std::string& text) {
    uint64_t value = 0;
    return parse_dovecot_size(text, value) ? value : 0;
}
std::chrono::milliseconds to_time(const std::string& text) {
    std::chrono::milliseconds value{};
    return parse_dovecot_time(text, value) ? value : std::chrono::milliseconds{};
}

// Sections of `type` in `section`, those of the file only when `built_in` is false.
template <class Visit>
void visit(const DovecotSection& section, const Visit& visit_one) {
    visit_one(section);
    for (const auto& child : section.children) visit(*child, visit_one);
}

}   // namespace

bool DovecotSection::is_set(std::string_view key) const {
    const auto* setting = find(*this, key);
    return setting && setting->line > 0;
}

std::string DovecotSection::str(std::string_view key) const {
    std::string value;
    if (const auto* setting = find(*this, key)) {
        value = value_of(*setting);
    } else if (const auto* parameter =
                   find_dovecot_setting(is_filter(*this) ? std::string_view{} : std::string_view(type), key)) {
        value = parameter->default_value;
    }
    // Built-in services name their account as $default_internal_user; what the file says was expanded while it was
    // read.
    if (root && root != this && value.starts_with("$default_")) return root->str(std::string_view(value).substr(1));
    return value;
}

bool DovecotSection::boolean(std::string_view key) const { return to_boolean(str(key)); }
int64_t DovecotSection::integer(std::string_view key) const { return to_integer(str(key), key); }
uint64_t DovecotSection::size(std::string_view key) const { return to_size(str(key)); }
std::chrono::milliseconds DovecotSection::time(std::string_view key) const { return to_time(str(key)); }

std::vector<const DovecotSection*> DovecotSection::sections(std::string_view wanted) const {
    std::vector<const DovecotSection*> out;
    for (const auto& child : children) {
        if (child->type == wanted) out.push_back(child.get());
    }
    return out;
}

const DovecotSection* DovecotSection::section(std::string_view wanted_type, std::string_view wanted_name) const {
    for (const auto& child : children) {
        if (child->type == wanted_type && child->name == wanted_name) return child.get();
    }
    return nullptr;
}

struct DovecotConf::State {
    std::unique_ptr<const DovecotSection> root;
    std::string directory;
    std::vector<std::string> remarks;

    // The last `protocol NAME { }` (or `protocol !OTHER { }`) block that sets `key`, else the global setting; nullptr:
    // default.
    const DovecotSection::Setting* find_setting(std::string_view key, std::string_view protocol) const {
        const DovecotSection::Setting* found = find(*root, key);
        if (protocol.empty()) return found;
        for (const auto& child : root->children) {
            if (child->type != "protocol") continue;
            bool applies = child->name.starts_with('!') ? std::string_view(child->name).substr(1) != protocol
                                                        : child->name == protocol;
            const auto* setting = applies ? find(*child, key) : nullptr;
            if (setting) found = setting;
        }
        return found;
    }
};

Expected<DovecotConf> DovecotConf::load(const std::string& directory) { return load_file(directory + "/dovecot.conf"); }

Expected<DovecotConf> DovecotConf::load_file(const std::string& path, bool as_written) {
    auto text = read_text(path);
    if (!text) return fail(text.error());
    size_t slash = path.rfind('/');
    return parse_in(*text, path, slash == std::string::npos ? std::string(".") : path.substr(0, slash), true,
                    as_written);
}

Expected<DovecotConf> DovecotConf::parse(std::string_view text, const std::string& file_name) {
    return parse_in(text, file_name, {}, false);
}

Expected<DovecotConf> DovecotConf::parse_in(std::string_view text, const std::string& file_name,
                                            const std::string& directory, bool follow_includes, bool as_written) {
    DovecotParser parser(follow_includes, !as_written);
    if (auto done = parser.parse(text, file_name); !done) return fail(done.error());
    auto root = parser.finish();
    if (!root) return fail(root.error());
    if (auto known = check_dovecot_protocols(**root); !known) return fail(known.error());
    auto state = std::make_shared<State>();
    state->root = std::move(*root);
    state->directory = directory;
    state->remarks = parser.remarks();
    DovecotConf out;
    out.state_ = std::move(state);
    return out;
}

std::string DovecotConf::str(std::string_view key, std::string_view protocol) const {
    if (const auto* setting = state_->find_setting(key, protocol)) return value_of(*setting);
    const auto* parameter = find_dovecot_setting("", key);
    return parameter ? std::string(parameter->default_value) : std::string{};
}

std::string DovecotConf::file(std::string_view key, std::string_view protocol) const {
    const auto* setting = state_->find_setting(key, protocol);
    return setting && setting->from_file ? path_of(*setting) : std::string{};
}

Expected<void> DovecotConf::check_files(std::initializer_list<std::string_view> keys) const {
    Expected<void> out;
    visit(root(), [&](const DovecotSection& section) {
        for (const auto& setting : section.settings) {
            if (!out || !setting.from_file || setting.line == 0 ||
                std::find(keys.begin(), keys.end(), setting.key) == keys.end())
                continue;
            const std::string path = path_of(setting);
            if (::access(path.c_str(), R_OK) == 0) continue;
            const int why = errno;
            out = fail(why, "Error in configuration file " + setting.file + " line " + std::to_string(setting.line) +
                                ": " + setting.key + ": Can't open file " + path + ": " + std::strerror(why));
        }
    });
    return out;
}

std::string DovecotConf::written(std::string_view key, std::string_view protocol) const {
    const auto* setting = state_->find_setting(key, protocol);
    return setting ? setting->value : str(key, protocol);
}

bool DovecotConf::is_set(std::string_view key, std::string_view protocol) const {
    return state_->find_setting(key, protocol);
}
bool DovecotConf::boolean(std::string_view key, std::string_view protocol) const {
    return to_boolean(str(key, protocol));
}
int64_t DovecotConf::integer(std::string_view key, std::string_view protocol) const {
    return to_integer(str(key, protocol), key);
}
uint64_t DovecotConf::size(std::string_view key, std::string_view protocol) const {
    return to_size(str(key, protocol));
}
std::chrono::milliseconds DovecotConf::time(std::string_view key, std::string_view protocol) const {
    return to_time(str(key, protocol));
}
std::vector<std::string> DovecotConf::list(std::string_view key, std::string_view protocol) const {
    return split_list(str(key, protocol));
}

std::vector<const DovecotSection*> DovecotConf::sections(std::string_view type) const {
    return state_->root->sections(type);
}
const DovecotSection* DovecotConf::section(std::string_view type, std::string_view name) const {
    return state_->root->section(type, name);
}
const DovecotSection& DovecotConf::root() const { return *state_->root; }

std::string DovecotConf::plugin(std::string_view key) const {
    const auto* section = state_->root->section("plugin", "");
    return section ? section->str(key) : std::string{};
}

std::vector<const DovecotSection*> DovecotConf::listeners(std::string_view service, std::string_view kind) const {
    const auto* section = state_->root->section("service", service);
    return section ? section->sections(kind) : std::vector<const DovecotSection*>{};
}

std::string DovecotConf::where(std::string_view key) const {
    const auto* setting = state_->find_setting(key, {});
    return setting ? setting->file + ':' + std::to_string(setting->line) : state_->directory + "/dovecot.conf";
}

const std::string& DovecotConf::directory() const { return state_->directory; }

std::vector<std::string> DovecotConf::warnings() const {
    std::vector<std::string> out = state_->remarks;
    auto more = dovecot_not_served(*state_->root);
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

}   // namespace postcot::config
