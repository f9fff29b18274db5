// NAME
//     postconf - show and change the Postfix part of the configuration
//
// SYNOPSIS
//     postconf [-dfhHnpx] [-c DIR] [-C class] [-o name=value] [parameter...]
//     postconf [-epX#] [-c DIR] parameter[=value]...
//     postconf -M [-efxX#] [-c DIR] [service[/type]...]      postconf -F, -P likewise, for fields and parameters of services
//     postconf -a | -A | -l | -m
//
// DESCRIPTION
//     Prints parameters of main.cf with their values, or services of master.cf, exactly as Postfix's postconf(1) does, and edits both files: comments,
//     order and everything else stay as they are, and a reader sees either the old or the new file.
//
//     -c DIR      folder of main.cf (default $MAIL_CONFIG, /etc/postfix); a Postcot configuration root is taken too
//     -d          defaults            -n  what main.cf sets        -x  expand $name in values
//     -h          values only         -H  names only               -f  fold long lines
//     -e          set (implied by name=value)      -X  remove      -#  comment out
//     -M -F -P    services, their fields (service/type/field), their parameters (service/type/parameter)
//     -o n=v      show as if main.cf had this line                 -C  builtin, service, user or all parameters
//     -m -l -a -A table types, lock types, SASL types of server and client
//     --man-table every parameter with type, default and what Postcot does with it, as a Markdown table
//
// DIAGNOSTICS
//     Parameters that are set but unknown or not supported are named on standard error with file and line. Exit status 1 when nothing could be done.
#include <getopt.h>

#include <cstdio>
#include <cstdlib>

#include "libproto/config/directory.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/parameter.h"
#include "libproto/table/table.h"
#include "tools/postconf/postconf.h"

namespace postcot::postconf {

void fatal(std::string_view text) {
    std::fflush(stdout);
    std::fprintf(stderr, "postconf: fatal: %.*s\n", static_cast<int>(text.size()), text.data());
    std::exit(1);
}

void warn(std::string_view text) {
    std::fflush(stdout);
    std::fprintf(stderr, "postconf: warning: %.*s\n", static_cast<int>(text.size()), text.data());
}

void print_setting(const Options& options, std::string_view name, std::string_view value) {
    std::string line;
    if (!options.no_names || options.no_values) line += name;
    if (!options.no_values) {
        if (!options.no_names) line += " =";
        if (!value.empty()) line += (line.empty() ? "" : " ") + std::string(value);
    }
    std::puts((options.fold ? config::fold_line(line) : config::squeeze(line)).c_str());
}

std::pair<std::string, std::string> split_setting(std::string_view text) {
    std::string_view trimmed = config::trim(text);
    if (trimmed.starts_with('#')) fatal("-e, -X, or -# accepts no comment input");
    if (trimmed.find('\n') != std::string_view::npos) fatal("-e, -X, or -# accepts no multi-line input");
    size_t equals = trimmed.find('=');
    std::string name(config::trim(trimmed.substr(0, equals)));
    if (equals == std::string_view::npos) fatal("missing '=' after attribute name: \"" + std::string(text) + '"');
    if (name.empty()) fatal("missing attribute name: \"" + std::string(text) + '"');
    return {name, std::string(config::trim(trimmed.substr(equals + 1)))};
}

namespace {

void print_table() {
    std::puts("| parameter | type | default | Postcot |\n| --- | --- | --- | --- |");
    for (const auto& parameter : config::postfix_parameters()) {
        const char* status = parameter.status == config::Status::kHonoured   ? "honoured"
                             : parameter.status == config::Status::kHarmless ? "harmless"
                                                                             : "unsupported";
        std::string value;
        for (char c : parameter.default_value) value += c == '|' ? std::string("\\|") : std::string(1, c);
        std::printf("| %.*s | %s | `%s` | %s |\n", static_cast<int>(parameter.name.size()), parameter.name.data(),
                    std::string(config::kind_name(parameter.kind)).c_str(), value.c_str(), status);
    }
}

int usage() {
    std::fputs(
        "usage: postconf [-aAlm] [-c config_dir] [-C class] [-dfhHnpx] [-e|-X|-#] [-M|-F|-P] [-o name=value] "
        "[name...]\n",
        stderr);
    return 64;
}

// Two of these together make no sense: "specify one of -d -n".
void refuse_together(std::initializer_list<std::pair<bool, const char*>> flags) {
    std::string given;
    int count = 0;
    for (const auto& [on, name] : flags) {
        if (!on) continue;
        ++count;
        given += ' ' + std::string(name);
    }
    if (count > 1) fatal("specify one of" + given);
}

int run(int argc, char** argv) {
    Options options;
    const char* directory = nullptr;
    const option long_options[] = {{"man-table", no_argument, nullptr, 1000}, {nullptr, 0, nullptr, 0}};
    int mode_count = 0;
    bool main_mode = false;
    for (int c; (c = ::getopt_long(argc, argv, "aAbc:C:deEfFhHlmMno:pPtT:vxX#", long_options, nullptr)) != -1;) {
        switch (c) {
            case 'a': std::puts("dovecot"); return 0;
            case 'A': return 0;
            case 'l': std::puts("flock\nfcntl\ndotlock"); return 0;
            case 'm':
                for (const auto& type : table::table_types()) std::puts(type.c_str());
                return 0;
            case 'c': directory = optarg; break;
            case 'C': options.parameter_class = optarg; break;
            case 'd': options.defaults = true; break;
            case 'e': options.edit = true; break;
            case 'f': options.fold = true; break;
            case 'h': options.no_names = true; break;
            case 'H': options.no_values = true; break;
            case 'n': options.only_set = true; break;
            case 'o': options.overrides.push_back(split_setting(optarg)); break;
            case 'p': main_mode = true; break;
            case 'F':
            case 'M':
            case 'P':
                if (options.what != c) ++mode_count;
                options.what = static_cast<char>(c);
                break;
            case 'v': break;
            case 'x': options.expand = true; break;
            case 'X': options.remove = true; break;
            case '#': options.comment = true; break;
            case 1000: print_table(); return 0;
            case 'b':
            case 't':
            case 'T':
            case 'E': fatal(std::string("option -") + static_cast<char>(c) + " is not supported");
            default: return usage();
        }
    }
    for (int i = optind; i < argc; ++i) options.arguments.emplace_back(argv[i]);
    options.directory = config::postfix_directory(directory, &options.directory_named);
    if (mode_count + (main_mode && options.what != 'p') > 1) fatal("specify one of -F -M -P -p");
    refuse_together({{options.no_names, "-h"}, {options.no_values, "-H"}});
    refuse_together({{options.defaults, "-d"}, {options.only_set, "-n"}});
    bool asked_to_change = options.edit || options.remove || options.comment;
    refuse_together({{options.edit, "-e"}, {options.remove, "-X"}, {options.comment, "-#"}, {options.defaults, "-d"}});
    if (options.what != 'p' && (options.defaults || options.only_set)) {
        fatal(std::string("with option -") + options.what + ", do not specify -" + (options.defaults ? 'd' : 'n'));
    }
    if (!asked_to_change && !options.defaults && !options.only_set) {
        for (const auto& argument : options.arguments) {
            if (argument.find('=') != std::string::npos) options.edit = true;
        }
    }
    if (options.edit || options.remove || options.comment) {
        change(options);
    } else if (options.what == 'p') {
        show_main(options);
    } else {
        show_master(options);
    }
    return 0;
}

}   // namespace
}   // namespace postcot::postconf

int main(int argc, char** argv) { return postcot::postconf::run(argc, argv); }
