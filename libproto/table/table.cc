// "type:name" -> the table; Maps: a parameter's list of them.
#include "libproto/table/table.h"

#include <algorithm>
#include <cerrno>

#include "libproto/config/logical_lines.h"
#include "libproto/config/values.h"
#include "libproto/runtime/log.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

constexpr int kMaxNesting = 8;

// A table whose file cannot be opened answers with the error: Postfix's daemons start all the same, and mail waits (daemon_table_open_error_is_fatal = no).
class UnavailableTable final : public Table {
  public:
    explicit UnavailableTable(Error error) : error_(std::move(error)) { warnings_.push_back(error_.text); }
    Expected<std::optional<std::string>> lookup(std::string_view) override { return fail(error_); }

  private:
    Error error_;
};

// Alias files have "name: value" lines; which files those are, alias_maps and alias_database say.
SourceFormat format_of(std::string_view spec, const config::MainCf& main) {
    for (const char* parameter : {"alias_maps", "alias_database"}) {
        for (std::string element : main.list(parameter)) {
            if (element.starts_with("proxy:")) element.erase(0, 6);
            if (element == spec) return SourceFormat::kAliases;
        }
    }
    return SourceFormat::kMap;
}

Expected<std::unique_ptr<Table>> open_nested(std::string_view spec, const config::MainCf& main, int depth);

Opened open_parts(std::string_view type, std::string_view name, const config::MainCf& main, int depth) {
    std::string_view body = config::trim(name);
    if (body.size() < 2 || body.front() != '{' || body.back() != '}') {
        return fail(EINVAL, "bad syntax: \"" + std::string(type) + ':' + std::string(name) + "\"; need \"" +
                                std::string(type) + ":{type:name...}\"");
    }
    std::vector<std::unique_ptr<Table>> parts;
    for (const auto& element : config::split_list(body.substr(1, body.size() - 2))) {
        auto part = open_nested(element, main, depth + 1);
        if (!part) return fail(part.error());
        parts.push_back(std::move(*part));
    }
    if (parts.empty()) return fail(EINVAL, std::string(type) + ": expected at least one table");
    return type == "unionmap" ? open_union(std::move(parts)) : open_pipe(std::move(parts));
}

Expected<std::unique_ptr<Table>> open_nested(std::string_view spec, const config::MainCf& main, int depth) {
    if (depth > kMaxNesting) return fail(EINVAL, "tables are nested too deeply: " + std::string(spec));
    size_t colon = spec.find(':');
    std::string default_type;
    std::string_view type = spec.substr(0, colon);
    std::string_view name;
    if (colon == std::string_view::npos) {
        default_type = main.str("default_database_type");
        type = default_type;
        name = spec;
    } else {
        name = spec.substr(colon + 1);
    }
    if (name.empty())
        return fail(EINVAL, "open dictionary: expecting \"type:name\" form instead of \"" + std::string(spec) + '"');
    if (type == "hash" || type == "btree" || type == "lmdb") {
        return open_indexed(type, std::string(name), format_of(spec, main));
    }
    if (type == "texthash") return open_reloading(name, open_texthash);
    if (type == "inline") return open_inline(name);
    if (type == "static") return open_static(name);
    if (type == "fail") return open_fail(name);
    if (type == "environ") return open_environ();
    if (type == "randmap") return open_random(name);
    if (type == "regexp") return open_reloading(name, open_regexp);
    if (type == "pcre") return open_reloading(name, open_pcre);
    if (type == "cidr") return open_reloading(name, open_cidr);
    if (type == "unix") return open_unix(name);
    if (type == "proxy") return open_nested(name, main, depth + 1);
    if (type == "unionmap" || type == "pipemap") return open_parts(type, name, main, depth);
    // Postfix's compiled-in alias_maps names nis: hosts without a NIS domain find nothing there.
    if (type == "nis")
        return open_empty("table " + std::string(spec) + ": NIS lookups are not supported: nothing is found there");
    return fail(EOPNOTSUPP, "unsupported dictionary type: " + std::string(type));
}

}   // namespace

std::vector<std::string> table_types() {
    return {"btree",   "cidr",  "environ", "fail",   "hash",   "inline",   "lmdb",     "nis", "pcre",
            "pipemap", "proxy", "randmap", "regexp", "static", "texthash", "unionmap", "unix"};
}

Expected<std::unique_ptr<Table>> open_table(std::string_view spec, const config::MainCf& main) {
    return open_nested(spec, main, 0);
}

Expected<Maps> Maps::open(std::string_view parameter_value, const config::MainCf& main, std::string_view title) {
    Maps maps;
    for (const auto& spec : config::split_list(parameter_value)) {
        auto table = open_table(spec, main);
        if (!table) {
            if (table.error().code == EINVAL || table.error().code == EOPNOTSUPP) {
                return fail(table.error().code, std::string(title) + ": " + table.error().text);
            }
            table = std::make_unique<UnavailableTable>(table.error());
        }
        for (const auto& warning : (*table)->warnings()) log::write(log::Level::kWarning, warning);
        maps.tables_.push_back(std::move(*table));
    }
    return maps;
}

Expected<std::optional<std::string>> Maps::find(std::string_view key, bool only_fixed_keys) const {
    if (key.empty()) return std::nullopt;
    for (const auto& table : tables_) {
        if (only_fixed_keys && !table->fixed_keys()) continue;
        auto found = table->lookup(key);
        if (!found || *found) return found;
    }
    return std::nullopt;
}

}   // namespace postcot::table
