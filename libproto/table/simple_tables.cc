// texthash, inline, static, fail, environ, randmap, unionmap, pipemap.
#include <cerrno>
#include <cstdlib>
#include <random>
#include <unordered_map>

#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"
#include "libproto/table/tables.h"

namespace postcot::table {
namespace {

using Found = Expected<std::optional<std::string>>;

class MemoryTable final : public Table {
  public:
    Found lookup(std::string_view key) override {
        auto found = values.find(fold_key(key));
        if (found == values.end()) return std::nullopt;
        return found->second;
    }
    void warn(std::string text) { warnings_.push_back(std::move(text)); }
    std::unordered_map<std::string, std::string> values;
};

class StaticTable final : public Table {
  public:
    explicit StaticTable(std::string value) : value_(std::move(value)) {}
    Found lookup(std::string_view) override { return value_; }

  private:
    std::string value_;
};

class FailTable final : public Table {
  public:
    explicit FailTable(std::string reason) : reason_(std::move(reason)) {}
    Found lookup(std::string_view) override { return fail(EAGAIN, "table fail:" + reason_ + ": query error"); }

  private:
    std::string reason_;
};

class EnvironmentTable final : public Table {
  public:
    Found lookup(std::string_view key) override {
        const char* value = std::getenv(std::string(key).c_str());
        if (!value) return std::nullopt;
        return std::string(value);
    }
};

class RandomTable final : public Table {
  public:
    explicit RandomTable(std::vector<std::string> values) : values_(std::move(values)) {}
    Found lookup(std::string_view) override { return values_[random_() % values_.size()]; }

  private:
    std::vector<std::string> values_;
    std::minstd_rand random_{std::random_device{}()};
};

class UnionTable final : public Table {
  public:
    explicit UnionTable(std::vector<std::unique_ptr<Table>> parts) : parts_(std::move(parts)) {}
    Found lookup(std::string_view key) override {
        std::optional<std::string> all;
        for (auto& part : parts_) {
            auto found = part->lookup(key);
            if (!found) return found;
            if (!*found) continue;
            all = all ? *all + ',' + **found : **found;
        }
        return all;
    }

  private:
    std::vector<std::unique_ptr<Table>> parts_;
};

class PipeTable final : public Table {
  public:
    explicit PipeTable(std::vector<std::unique_ptr<Table>> parts) : parts_(std::move(parts)) {}
    Found lookup(std::string_view key) override {
        std::string value(key);
        for (auto& part : parts_) {
            auto found = part->lookup(value);
            if (!found || !*found) return found;
            value = **found;
        }
        return value;
    }

  private:
    std::vector<std::unique_ptr<Table>> parts_;
};

class EmptyTable final : public Table {
  public:
    explicit EmptyTable(std::string warning) { warnings_.push_back(std::move(warning)); }
    Found lookup(std::string_view) override { return std::nullopt; }
};

// "{ text }" -> "text"; false when it is not one group.
bool inside_braces(std::string_view& text) {
    text = config::trim(text);
    if (text.size() < 2 || text.front() != '{' || text.back() != '}') return false;
    text = config::trim(text.substr(1, text.size() - 2));
    return true;
}

}   // namespace

Opened open_texthash(std::string_view name) {
    std::string path(name);
    auto text = config::read_text(path);
    if (!text) return fail(text.error());
    auto table = std::make_unique<MemoryTable>();
    auto source = read_source(*text, path, SourceFormat::kMap);
    for (auto& warning : source.warnings) table->warn(warning + " -- ignoring this line");
    for (auto& entry : source.entries) {
        if (!table->values.emplace(fold_key(entry.key), std::move(entry.value)).second) {
            table->warn(path + ", line " + std::to_string(entry.line) + ": duplicate entry: \"" + entry.key + '"');
        }
    }
    return table;
}

Opened open_inline(std::string_view name) {
    std::string whole(name);
    if (!inside_braces(name))
        return fail(EINVAL, "bad syntax: \"inline:" + whole + "\"; need \"inline:{name=value...}\"");
    auto table = std::make_unique<MemoryTable>();
    for (const auto& element : config::split_list(name)) {
        std::string_view text = element;
        if (text.front() == '{' && !inside_braces(text)) {
            return fail(EINVAL, "missing '}' in \"" + element + "\" of \"inline:" + whole + '"');
        }
        size_t equals = text.find('=');
        std::string_view key = config::trim(text.substr(0, equals));
        if (equals == std::string_view::npos || key.empty()) {
            return fail(EINVAL,
                        "missing '=' after attribute name: \"inline:" + whole + "\"; need \"inline:{name=value...}\"");
        }
        table->values.emplace(fold_key(key), std::string(config::trim(text.substr(equals + 1))));
    }
    return table;
}

Opened open_static(std::string_view name) {
    inside_braces(name);
    return std::make_unique<StaticTable>(std::string(name));
}

Opened open_fail(std::string_view name) { return std::make_unique<FailTable>(std::string(name)); }
Opened open_environ() { return std::make_unique<EnvironmentTable>(); }

Opened open_random(std::string_view name) {
    std::string whole(name);
    if (!inside_braces(name))
        return fail(EINVAL, "bad syntax: \"randmap:" + whole + "\"; need \"randmap:{value, ...}\"");
    auto values = config::split_list(name);
    if (values.empty()) return fail(EINVAL, "randmap:" + whole + ": expected at least one value");
    return std::make_unique<RandomTable>(std::move(values));
}

Opened open_empty(std::string warning) { return std::make_unique<EmptyTable>(std::move(warning)); }
Opened open_union(std::vector<std::unique_ptr<Table>> parts) { return std::make_unique<UnionTable>(std::move(parts)); }
Opened open_pipe(std::vector<std::unique_ptr<Table>> parts) { return std::make_unique<PipeTable>(std::move(parts)); }

}   // namespace postcot::table
