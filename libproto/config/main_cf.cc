// main.cf: logical lines of "name = value" over the parameter table's defaults.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <utility>

#include "libproto/config/expand.h"
#include "libproto/config/filters.h"
#include "libproto/config/host.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/not_served.h"
#include "libproto/config/parameter.h"
#include "libproto/config/postfix.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"

namespace postcot::config {

struct MainCf::State final : Names {
    struct Entry {
        std::string value;   // not expanded
        int line;            // 0: an override
    };
    std::map<std::string, Entry, std::less<>> entries;
    std::string file;
    std::string directory;
    std::string origin;                 // what the file that myorigin names says; empty when myorigin is no file
    std::vector<std::string> remarks;   // of the reading itself: overridden entries, stray white space

    bool value(std::string_view name, std::string& out) const override {
        auto found = entries.find(name);
        if (found != entries.end()) {
            out = found->second.value;
            if (!origin.empty() && name == "myorigin") out = origin;
            return true;
        }
        if (host_default(name, out)) return true;
        if (const auto* parameter = find_postfix_parameter(name)) {
            out = parameter->default_value;
            return true;
        }
        return transport_default(name, out);
    }

    std::string where(const Entry& entry) const {
        return entry.line ? file + ", line " + std::to_string(entry.line) : std::string("option -o");
    }

    // <transport>_<suffix>
    static bool transport_default(std::string_view name, std::string& out) {
        const auto* suffix = find_transport_suffix(name);
        if (suffix) out = suffix->default_value;
        return suffix;
    }

    static const TransportSuffix* find_transport_suffix(std::string_view name) {
        const TransportSuffix* best = nullptr;
        for (const auto& known : transport_suffixes()) {
            if (name.size() > known.suffix.size() + 1 && name.ends_with(known.suffix) &&
                name[name.size() - known.suffix.size() - 1] == '_' &&
                (!best || known.suffix.size() > best->suffix.size())) {
                best = &known;
            }
        }
        return best;
    }

    // Set while a default is made of other parameters. These may be defined by it in turn ("myhostname = mx.$mydomain" without a mydomain): then it
    // is made of the host's own facts.
    static inline thread_local bool deriving_domain = false;
    static inline thread_local bool deriving_networks = false;
    struct Deriving {
        explicit Deriving(bool& mark) : flag(mark), again(std::exchange(mark, true)) {}
        ~Deriving() { flag = again; }
        bool& flag;
        const bool again;
    };

    bool host_default(std::string_view name, std::string& out) const {
        if (name == "config_directory" && !directory.empty()) {
            out = directory;
        } else if (name == "myhostname") {
            out = host_name();
            if (out.find('.') == std::string::npos) out += entries.contains("mydomain") ? ".$mydomain" : ".localdomain";
        } else if (name == "mydomain") {
            Deriving guard(deriving_domain);
            const std::string host =
                !guard.again && entries.contains("myhostname") ? expanded("myhostname") : host_name();
            size_t dot = host.find('.');
            out = dot == std::string::npos ? "localdomain" : host.substr(dot + 1);
        } else if (name == "mynetworks") {
            Deriving guard(deriving_networks);
            if (guard.again) {
                out = "127.0.0.0/8 [::1]/128";
                return true;
            }
            std::string style = expanded("mynetworks_style");
            auto protocols = split_list(expanded("inet_protocols"));
            bool ipv4 = false;
            bool ipv6 = false;
            for (const auto& protocol : protocols) {
                if (protocol == "all" || protocol == "ipv4") ipv4 = true;
                if (protocol == "all" || protocol == "ipv6") ipv6 = true;
            }
            out = own_networks(style == "host"    ? NetworkStyle::kHost
                               : style == "class" ? NetworkStyle::kClass
                                                  : NetworkStyle::kSubnet,
                               split_list(expanded("inet_interfaces")), ipv4, ipv6);
        } else if (name == "process_id") {
            out = std::to_string(::getpid());
        } else if (name == "process_name") {
            out = program_invocation_short_name;
        } else {
            return false;
        }
        return true;
    }

    std::string expanded(std::string_view name) const {
        std::string raw;
        if (!value(name, raw)) return {};
        auto result = config::expand(raw, *this);   // checked at load
        return result ? *result : std::string{};
    }

    // Error text, empty when `entry` fits its parameter.
    std::string check(const std::string& name, const Entry& entry) const {
        const auto* parameter = find_postfix_parameter(name);
        Kind kind = Kind::kText;
        std::string_view default_value;
        if (parameter) {
            kind = parameter->kind;
            default_value = parameter->default_value;
        } else if (const auto* suffix = find_transport_suffix(name)) {
            kind = suffix->kind;
        }
        if (kind == Kind::kRaw) return {};
        // Nobody reads a user-defined parameter but through one that is known, and that one is checked.
        if (!parameter && kind == Kind::kText) return {};
        auto text = config::expand(entry.value, *this);
        if (!text) return where(entry) + ": parameter " + name + ": " + text.error().text;
        std::string_view words = allowed_words(name);
        if (!words.empty() && !text->empty() && !is_one_of(*text, words)) {
            return where(entry) + ": parameter " + name + ": expected one of \"" + std::string(words) + "\", got '" +
                   *text + "'";
        }
        bool good = true;
        bool boolean = false;
        int64_t number = 0;
        std::chrono::seconds time{};
        switch (kind) {
            case Kind::kBoolean: good = parse_postfix_boolean(*text, boolean); break;
            case Kind::kNumber:
                good = parse_number(*text, number) && (number >= 0 || name.ends_with("_threshold"));
                break;
            case Kind::kTime: good = parse_postfix_time(*text, time_unit(default_value), time); break;
            default: break;
        }
        if (good) return {};
        return where(entry) + ": parameter " + name + ": expected " + std::string(kind_name(kind)) + ", got '" + *text +
               "'";
    }

    // A time without unit is in the unit of its default (postconf(5)): maximal_queue_lifetime = 5 means days.
    static char time_unit(std::string_view default_value) {
        char last = default_value.empty() ? 's' : default_value.back();
        return std::string_view("smhdw").find(last) == std::string_view::npos ? 's' : last;
    }

    Expected<void> check_all() const {
        for (const auto& [name, entry] : entries) {
            if (auto wrong = check(name, entry); !wrong.empty()) return fail(EINVAL, std::move(wrong));
        }
        return {};
    }
};

Expected<MainCf> MainCf::load(const std::string& directory) {
    auto main = load_unchecked(directory);
    if (!main) return main;
    if (auto good = main->state_->check_all(); !good) return fail(good.error());
    // Debian: "myorigin = /etc/mailname" takes the name from the first line of that file.
    auto origin = main->state_->entries.find("myorigin");
    if (origin != main->state_->entries.end() && origin->second.value.starts_with('/')) {
        auto text = read_text(origin->second.value);
        if (!text)
            return fail(text.error().code,
                        main->state_->where(origin->second) + ": parameter myorigin: " + text.error().text);
        auto state = std::make_shared<State>(*main->state_);
        state->origin = trim(std::string_view(*text).substr(0, text->find('\n')));
        if (state->origin.empty()) {
            return fail(EINVAL,
                        state->where(origin->second) + ": parameter myorigin: " + origin->second.value + " is empty");
        }
        main->state_ = std::move(state);
    }
    return main;
}

Expected<MainCf> MainCf::load_unchecked(const std::string& directory) {
    auto text = read_text(directory + "/main.cf");
    if (!text) return fail(text.error());
    return parse_in(*text, directory + "/main.cf", directory);
}

Expected<MainCf> MainCf::parse(std::string_view text, const std::string& file_name) {
    auto main = parse_in(text, file_name, {});
    if (!main) return main;
    if (auto good = main->state_->check_all(); !good) return fail(good.error());
    return main;
}

Expected<void> MainCf::check() const { return state_->check_all(); }

Expected<MainCf> MainCf::parse_in(std::string_view text, const std::string& file_name, const std::string& directory) {
    auto state = std::make_shared<State>();
    state->file = file_name;
    state->directory = directory;
    LogicalLines lines(text);
    std::string line;
    while (lines.next(line)) {
        std::string where = file_name + ", line " + std::to_string(lines.first_line());
        if (lines.starts_blank()) {
            state->remarks.push_back(where + ": logical line must not start with whitespace: \"" + line.substr(0, 30) +
                                     '"');
            continue;
        }
        if (line.find('\0') != std::string::npos) return fail(EINVAL, where + ": a NUL byte is not allowed here");
        size_t equals = line.find('=');
        std::string name(trim(std::string_view(line).substr(0, equals)));
        size_t blank = 0;
        while (blank < name.size() && !is_space(name[blank])) ++blank;
        if (name.empty()) return fail(EINVAL, where + ": missing attribute name: \"" + line + '"');
        if (equals == std::string::npos || blank < name.size()) {
            return fail(EINVAL, where + ": missing '=' after attribute name: \"" + line.substr(0, 200) + '"');
        }
        std::string value;
        for (char c : trim(std::string_view(line).substr(equals + 1))) value += c == '\r' ? ' ' : c;
        State::Entry entry{std::move(value), lines.first_line()};
        auto [at, fresh] = state->entries.try_emplace(name, entry);
        if (!fresh) {
            if (at->second.value != entry.value) {
                state->remarks.push_back(where + ": overriding earlier entry: " + name + '=' + at->second.value);
            }
            at->second = std::move(entry);
        }
    }
    MainCf out;
    out.state_ = std::move(state);
    return out;
}

Expected<MainCf> MainCf::with_overrides(const std::vector<std::pair<std::string, std::string>>& overrides) const {
    auto state = std::make_shared<State>(*state_);
    for (const auto& [name, value] : overrides) state->entries[name] = {value, 0};
    for (const auto& [name, value] : overrides) {
        if (auto wrong = state->check(name, state->entries[name]); !wrong.empty())
            return fail(EINVAL, std::move(wrong));
    }
    MainCf out;
    out.state_ = std::move(state);
    return out;
}

std::string MainCf::str(std::string_view name) const {
    const auto* parameter = find_postfix_parameter(name);
    return parameter && parameter->kind == Kind::kRaw ? raw(name) : state_->expanded(name);
}

std::string MainCf::raw(std::string_view name) const {
    std::string out;
    state_->value(name, out);
    return out;
}

std::vector<std::string> MainCf::list(std::string_view name) const { return split_list(str(name)); }

bool MainCf::boolean(std::string_view name) const {
    bool value = false;
    return parse_postfix_boolean(str(name), value) && value;
}

int64_t MainCf::integer(std::string_view name) const {
    int64_t value = 0;
    return parse_number(str(name), value) ? value : 0;
}

std::chrono::seconds MainCf::time(std::string_view name) const {
    const auto* parameter = find_postfix_parameter(name);
    std::chrono::seconds value{};
    return parse_postfix_time(str(name), State::time_unit(parameter ? parameter->default_value : ""), value)
               ? value
               : std::chrono::seconds{};
}

bool MainCf::is_set(std::string_view name) const { return state_->entries.contains(name); }

std::string MainCf::transport_str(std::string_view transport, std::string_view suffix) const {
    std::string name(transport);
    name += '_';
    name += suffix;
    return str(name);
}

int64_t MainCf::transport_integer(std::string_view transport, std::string_view suffix) const {
    int64_t value = 0;
    return parse_number(transport_str(transport, suffix), value) ? value : 0;
}

std::chrono::seconds MainCf::transport_time(std::string_view transport, std::string_view suffix) const {
    std::chrono::seconds value{};
    return parse_postfix_time(transport_str(transport, suffix), 's', value) ? value : std::chrono::seconds{};
}

std::string MainCf::expand(std::string_view text) const {
    auto result = config::expand(text, *state_);
    return result ? *result : std::string{};
}

Expected<std::string> MainCf::try_expand(std::string_view text) const { return config::expand(text, *state_); }

const std::string& MainCf::directory() const { return state_->directory; }

Error MainCf::located(Error error) const {
    std::string_view text = error.text;
    if (text.starts_with("service ")) text.remove_prefix(std::min(text.size(), text.find(": ") + 2));
    std::string name(text.substr(0, text.find(": ")));
    for (int depth = 0; depth < 5; ++depth) {
        auto found = state_->entries.find(name);
        if (found != state_->entries.end()) {
            if (found->second.line > 0)
                error.text = state_->file + ", line " + std::to_string(found->second.line) + ": " + error.text;
            break;
        }
        std::string value = raw(name);   // a default that is another parameter: $virtual_alias_maps
        if (value.size() < 2 || value[0] != '$' || value.find_first_of(" ,{}$", 1) != std::string::npos) break;
        name = value.substr(1);
    }
    return error;
}

std::vector<MainCf::Set> MainCf::set_parameters() const {
    std::vector<Set> out;
    for (const auto& [name, entry] : state_->entries) out.push_back({name, entry.value, entry.line});
    return out;
}

namespace {

// Names that `text` refers to with $name, ${name...} or $(name).
void collect_references(std::string_view text, std::set<std::string, std::less<>>& out) {
    for (size_t i = 0; i + 1 < text.size(); ++i) {
        if (text[i] != '$') continue;
        size_t start = i + 1;
        if (text[start] == '{' || text[start] == '(') ++start;
        while (start < text.size() && is_space(text[start])) ++start;
        size_t end = start;
        while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) ++end;
        if (end > start) out.emplace(text.substr(start, end - start));
    }
}

}   // namespace

// User-defined names that something known refers to, directly or through other user-defined names.
std::set<std::string, std::less<>> MainCf::used_names(const MasterCf* master) const {
    std::set<std::string, std::less<>> used;
    for (const auto& [name, entry] : state_->entries) {
        if (find_postfix_parameter(name) || State::find_transport_suffix(name)) collect_references(entry.value, used);
    }
    for (const auto& restriction_class : list("smtpd_restriction_classes")) used.insert(restriction_class);
    if (master) {
        for (const auto& service : master->services()) {
            for (const auto& [name, value] : service.overrides) collect_references(value, used);
            for (const auto& argument : service.arguments) collect_references(argument, used);
        }
    }
    std::vector<std::string> pending(used.begin(), used.end());
    while (!pending.empty()) {
        auto entry = state_->entries.find(pending.back());
        pending.pop_back();
        if (entry == state_->entries.end()) continue;
        std::set<std::string, std::less<>> more;
        collect_references(entry->second.value, more);
        for (const auto& name : more) {
            if (used.insert(name).second) pending.push_back(name);
        }
    }
    return used;
}

std::vector<std::string> MainCf::warnings(const MasterCf* master) const {
    auto used = used_names(master);
    std::vector<std::string> out = state_->remarks;
    for (const auto& [name, entry] : state_->entries) {
        const auto* parameter = find_postfix_parameter(name);
        Status status = Status::kHonoured;
        std::string_view default_value;
        if (parameter) {
            status = parameter->status;
            default_value = parameter->default_value;
        } else if (const auto* suffix = State::find_transport_suffix(name)) {
            status = suffix->status;
        } else if (!used.contains(name)) {
            out.push_back(state_->where(entry) + ": unused parameter: " + name + '=' + entry.value);
        }
        if (auto filter = unserved_filter(*this, name, entry.value); !filter.empty()) {
            out.push_back(state_->where(entry) + ": " + filter);
        } else if (status == Status::kUnsupported && entry.value != default_value) {
            out.push_back(state_->where(entry) + ": parameter " + name +
                          " is not supported: the setting has no effect");
        } else if (auto word = unsupported_word(name, entry.value); !word.empty()) {
            out.push_back(state_->where(entry) + ": parameter " + name + ": " + word);
        }
    }
    if (!master) return out;
    out.insert(out.end(), master->remarks().begin(), master->remarks().end());
    for (const auto& service : master->services()) {
        std::string where =
            master->file() + ": line " + std::to_string(service.line) + ": service " + service.name + ": ";
        const auto overridden = with_overrides(service.overrides);
        for (const auto& [name, value] : service.overrides) {
            const auto* parameter = find_postfix_parameter(name);
            if (auto filter = unserved_filter(overridden ? *overridden : *this, name, value); !filter.empty()) {
                out.push_back(where + filter);
                continue;
            }
            if (!parameter && !State::find_transport_suffix(name) && !used.contains(name)) {
                out.push_back(where + "unused parameter: " + name + '=' + value);
            } else if (parameter && parameter->status == Status::kUnsupported && value != parameter->default_value) {
                out.push_back(where + "parameter " + name + " is not supported: the setting has no effect");
            } else if (auto word = unsupported_word(name, value); !word.empty()) {
                out.push_back(where + "parameter " + name + ": " + word);
            }
        }
        for (const auto& remark : unserved(service, *master, integer("default_process_limit")))
            out.push_back(where + remark);
    }
    return out;
}

}   // namespace postcot::config
