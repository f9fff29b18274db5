#include "tools/postmap/index_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

#include "libproto/config/directory.h"
#include "libproto/config/read_text.h"
#include "libproto/config/values.h"
#include "libproto/table/lmdb_file.h"
#include "libproto/table/table.h"

namespace postcot {
namespace {

const char* program_name = "postmap";

[[noreturn]] void fatal(const std::string& text) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: fatal: %s\n", program_name, text.c_str());
    std::exit(1);
}

void warn(const std::string& text) { std::fprintf(stderr, "%s: warning: %s\n", program_name, text.c_str()); }

struct Spec {
    std::string type;
    std::string source;
    std::string index;
    bool indexed() const { return type == "hash" || type == "btree" || type == "lmdb"; }
    std::string title() const { return type == "lmdb" ? "lmdb:" + source : index; }
};

Spec split_spec(const config::MainCf& main, const std::string& text) {
    Spec out;
    size_t colon = text.find(':');
    out.type = colon == std::string::npos ? main.str("default_database_type") : text.substr(0, colon);
    out.source = colon == std::string::npos ? text : text.substr(colon + 1);
    out.index = out.source + (out.type == "lmdb" ? ".lmdb" : ".db");
    return out;
}

std::string read_standard_input() {
    std::string text;
    char buffer[65536];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) text.append(buffer, n);
    return text;
}

// -F: the files' contents, one behind the other, in base64.
std::string file_value(const std::string& names, const std::string& where) {
    std::string content;
    for (const auto& name : config::split_list(names)) {
        auto text = config::read_text(name);
        if (!text) fatal(where + ": " + text.error().text);
        content += *text;
    }
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < content.size(); i += 3) {
        unsigned group = 0;
        for (size_t j = 0; j < 3; ++j) {
            group = group << 8 | (i + j < content.size() ? static_cast<unsigned char>(content[i + j]) : 0U);
        }
        for (size_t j = 0; j < 4; ++j) out += j <= content.size() - i ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

std::string from_base64(const std::string& text) {
    std::string out;
    unsigned group = 0;
    int bits = 0;
    for (char c : text) {
        int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                    : c >= 'a' && c <= 'z' ? c - 'a' + 26
                    : c >= '0' && c <= '9' ? c - '0' + 52
                    : c == '+'             ? 62
                    : c == '/'             ? 63
                                           : -1;
        if (value < 0) continue;
        group = group << 6 | static_cast<unsigned>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>(group >> bits & 0xff);
        }
    }
    return out;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries read_index(const Spec& spec) {
    if (::access(spec.index.c_str(), F_OK) != 0) fatal("open database " + spec.index + ": No such file or directory");
    if (!table::is_lmdb_file(spec.index)) {
        fatal("open database " + spec.index + ": not in LMDB format; make it new with \"" + std::string(program_name) +
              ' ' + spec.type + ':' + spec.source + '"');
    }
    auto file = table::LmdbFile::open(spec.index);
    if (!file) fatal(file.error().text);
    Entries out;
    auto done = (*file)->walk([&](std::string_view key, std::string_view value) {
        out.emplace_back(key, value);
        return true;
    });
    if (!done) fatal(done.error().text);
    return out;
}

table::FileOwner owner_of(const Spec& spec, const IndexOptions& options) {
    table::FileOwner owner{::geteuid(), ::getegid(), 0644};
    struct stat found {};
    if (::stat(spec.source.c_str(), &found) == 0 || ::stat(spec.index.c_str(), &found) == 0) {
        owner.uid = found.st_uid;
        owner.gid = found.st_gid;
        if (!options.default_mode) owner.mode = found.st_mode & 0666;
    }
    return owner;
}

void write_index(const Spec& spec, const Entries& entries, const IndexOptions& options) {
    auto done = table::write_lmdb_file(spec.index, entries, owner_of(spec, options));
    if (!done) fatal(done.error().text);
}

std::string folded(const IndexOptions& options, const std::string& key) {
    return options.keep_case ? key : table::fold_key(key);
}

const char* separator(const IndexOptions& options) {
    return options.format == table::SourceFormat::kAliases ? ":" : "";
}

// -q key and -q -: true when something was found.
bool query(const IndexOptions& options, const config::MainCf& main, const std::string& key,
           const std::vector<std::string>& specs) {
    struct Opened {
        std::string spec;
        std::unique_ptr<table::Table> table;
    };
    std::vector<Opened> tables;
    for (const auto& spec : specs) {
        auto opened = table::open_table(spec, main);
        if (!opened) fatal(opened.error().text);
        for (const auto& warning : (*opened)->warnings()) warn(warning);
        tables.push_back({spec, std::move(*opened)});
    }
    auto find = [&](const std::string& wanted) -> std::optional<std::string> {
        for (auto& one : tables) {
            if (wanted.empty() && one.table->fixed_keys()) continue;
            auto found = one.table->lookup(wanted);
            if (!found) fatal("table " + one.spec + ": query error: " + found.error().text);
            if (*found) return options.file_values ? from_base64(**found) : **found;
        }
        return std::nullopt;
    };
    if (key != "-") {
        auto found = find(key);
        if (found) std::puts(found->c_str());
        return found.has_value();
    }
    bool any = false;
    std::string keys = read_standard_input();
    std::string_view rest = keys;
    while (!rest.empty()) {
        size_t end = rest.find('\n');
        std::string wanted(rest.substr(0, end));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (auto found = find(wanted)) {
            std::printf("%s%s\t%s\n", wanted.c_str(), separator(options), found->c_str());
            any = true;
        }
    }
    return any;
}

bool remove_keys(const IndexOptions& options, const config::MainCf& main, const std::string& key,
                 const std::vector<std::string>& specs) {
    std::unordered_map<std::string, bool> keys;   // true once found
    if (key != "-") {
        keys[folded(options, key)] = false;
    } else {
        std::string text = read_standard_input();
        std::string_view rest = text;
        while (!rest.empty()) {
            size_t end = rest.find('\n');
            keys[folded(options, std::string(rest.substr(0, end)))] = false;
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        }
    }
    bool any = false;
    for (const auto& text : specs) {
        Spec spec = split_spec(main, text);
        if (!spec.indexed()) fatal("table " + text + " does not support deletion");
        Entries kept;
        bool changed = false;
        for (auto& entry : read_index(spec)) {
            if (keys.contains(entry.first)) {
                changed = true;
            } else {
                kept.push_back(std::move(entry));
            }
        }
        if (changed) write_index(spec, kept, options);
        any = any || changed;
    }
    return any;
}

void print_all(const IndexOptions& options, const config::MainCf& main, const std::string& text) {
    Spec spec = split_spec(main, text);
    Entries entries;
    if (spec.indexed() && table::is_lmdb_file(spec.index)) {
        entries = read_index(spec);
    } else if (spec.indexed() || spec.type == "texthash") {
        auto source_text = config::read_text(spec.source);
        if (!source_text) fatal(source_text.error().text);
        auto source = table::read_source(*source_text, spec.source, options.format);
        for (const auto& warning : source.warnings) warn(warning);
        std::unordered_map<std::string, bool> seen;
        for (auto& entry : source.entries) {
            std::string key = folded(options, entry.key);
            if (seen.emplace(key, true).second) entries.emplace_back(key, std::move(entry.value));
        }
    } else {
        fatal("table " + text + " does not support sequence operations");
    }
    for (const auto& [key, value] : entries) std::printf("%s%s\t%s\n", key.c_str(), separator(options), value.c_str());
}

int usage() {
    std::fprintf(stderr, "usage: %s [-fFinNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...\n",
                 program_name);
    return 64;
}

}   // namespace

int build_index(const IndexOptions& options, const config::MainCf& main, const std::string& text) {
    program_name = options.program;
    Spec spec = split_spec(main, text);
    if (!spec.indexed()) {
        bool known = false;
        for (const auto& type : table::table_types()) known = known || type == spec.type;
        fatal("unsupported dictionary type: " + spec.type + (known ? " does not support bulk-mode creation." : ""));
    }
    std::string source_text;
    std::string source_name = spec.source;
    if (options.incremental) {
        source_text = read_standard_input();
        source_name = "stdin";
    } else {
        auto read = config::read_text(spec.source);
        if (!read) fatal(read.error().text);
        source_text = std::move(*read);
    }
    auto source = table::read_source(source_text, source_name, options.format);
    for (const auto& warning : source.warnings) warn(warning);
    Entries entries;
    std::unordered_map<std::string, size_t> at;
    if (options.incremental && ::access(spec.index.c_str(), F_OK) == 0) {
        entries = read_index(spec);
        for (size_t i = 0; i < entries.size(); ++i) at.emplace(entries[i].first, i);
    }
    for (auto& entry : source.entries) {
        std::string key = folded(options, entry.key);
        std::string value = options.file_values
                                ? file_value(entry.value, source_name + ", line " + std::to_string(entry.line))
                                : std::move(entry.value);
        auto [old, fresh] = at.emplace(key, entries.size());
        if (fresh) {
            entries.emplace_back(std::move(key), std::move(value));
        } else if (options.replace) {
            entries[old->second].second = std::move(value);
        } else if (!options.quiet_duplicates) {
            warn(spec.title() + ": duplicate entry: \"" + entry.key + '"');
        }
    }
    write_index(spec, entries, options);
    return 0;
}

int index_command(int argc, char** argv, const char* program, table::SourceFormat format) {
    program_name = program;
    IndexOptions options;
    options.program = program;
    options.format = format;
    const char* directory = nullptr;
    const char* query_key = nullptr;
    const char* delete_key = nullptr;
    bool sequence = false;
    for (int c; (c = ::getopt(argc, argv, "bc:d:fFhimnNopq:rsuUvw")) != -1;) {
        switch (c) {
            case 'c': directory = optarg; break;
            case 'd': delete_key = optarg; break;
            case 'q': query_key = optarg; break;
            case 's': sequence = true; break;
            case 'i': options.incremental = true; break;
            case 'r': options.replace = true; break;
            case 'w': options.quiet_duplicates = true; break;
            case 'f': options.keep_case = true; break;
            case 'F': options.file_values = true; break;
            case 'p': options.default_mode = true; break;
            case 'n':
            case 'N':
            case 'o':
            case 'u':
            case 'U':
            case 'v': break;
            case 'b':
            case 'h':
            case 'm': fatal(std::string("option -") + static_cast<char>(c) + " is not supported");
            default: return usage();
        }
    }
    if ((query_key != nullptr) + (delete_key != nullptr) + sequence > 1) fatal("specify only one of -s -q or -d");
    std::vector<std::string> specs(argv + optind, argv + argc);
    if (specs.empty()) return usage();
    std::string folder = config::postfix_directory(directory);
    auto main = config::MainCf::load_unchecked(folder);
    if (!main && main.error().code == ENOENT && !directory)
        main = config::MainCf::parse("", "main.cf");   // tables can be made before Postfix is set up
    if (!main) fatal(main.error().text);
    if (format == table::SourceFormat::kAliases && !specs.empty()) {
        // Tables that are asked through their source must read it as an alias file.
        std::string all;
        for (const auto& spec : specs) all += spec + ' ';
        auto with_aliases = main->with_overrides({{"alias_maps", all}});
        if (with_aliases) main = *with_aliases;
    }
    if (query_key) return query(options, *main, query_key, specs) ? 0 : 1;
    if (delete_key) return remove_keys(options, *main, delete_key, specs) ? 0 : 1;
    for (const auto& spec : specs) {
        if (sequence) {
            print_all(options, *main, spec);
        } else {
            build_index(options, *main, spec);
        }
    }
    return 0;
}

}   // namespace postcot
