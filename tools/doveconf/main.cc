// NAME
//     doveconf - show the Dovecot part of the configuration
//
// SYNOPSIS
//     doveconf [-adhknNPx] [-c FILE] [-f protocol=NAME] [setting...]
//
// DESCRIPTION
//     Prints settings of dovecot.conf and the files it includes as Dovecot's doveconf(1) does: one configuration in 2.3's names.
//
//     -c FILE     dovecot.conf (default /etc/dovecot/dovecot.conf); its folder or a Postcot configuration root are taken too
//     -a          all settings (default)           -n   those that differ from their default     -N   those that are set
//     -d          the defaults only                -h   values only        -k   names only
//     -P          show passwords and keys          -x   show what <files contain
//     --man-table every setting with type, default and what Postcot does with it, as a Markdown table
//     -f          as seen by one protocol          setting   one setting or section: mail_location, passdb, plugin/quota, service/auth
//
// DIAGNOSTICS
//     Exit status 89 and a line with file and line number when the configuration is wrong. Settings that are not supported are named on standard error.
#include <getopt.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "libproto/config/directory.h"
#include "libproto/config/dovecot_settings.h"
#include "libproto/config/host.h"
#include "libproto/config/logical_lines.h"
#include "libproto/config/read_text.h"
#include "tools/doveconf/print.h"

namespace {

constexpr int kBadConfiguration = 89;   // Dovecot's FATAL_DEFAULT

int usage() {
    std::fputs("usage: doveconf [-adhknNPx] [-c <config file>] [-f <filter>] [<setting> ...]\n", stderr);
    return 64;
}

std::string path_of(const char* option) {
    struct stat found {};
    if (option && ::stat(option, &found) == 0 && !S_ISDIR(found.st_mode)) return option;
    if (option && ::stat(option, &found) != 0) return option;
    return postcot::config::dovecot_directory(option) + "/dovecot.conf";
}

void print_table() {
    namespace config = postcot::config;
    std::puts("| section | setting | type | default | Postcot |\n| --- | --- | --- | --- | --- |");
    for (const auto& setting : config::dovecot_settings()) {
        const auto& parameter = setting.parameter;
        const char* status = parameter.status == config::Status::kHonoured   ? "honoured"
                             : parameter.status == config::Status::kHarmless ? "harmless"
                                                                             : "unsupported";
        std::printf("| %s | %s | %s | `%s` | %s |\n", std::string(setting.section).c_str(),
                    std::string(parameter.name).c_str(), std::string(config::kind_name(parameter.kind)).c_str(),
                    std::string(parameter.default_value).c_str(), status);
    }
}

void print_head(const std::string& path) {
    std::printf("# 2.3.19.1 (Postcot " POSTCOT_VERSION "): %s\n", path.c_str());
    utsname system{};
    ::uname(&system);
    std::printf("# OS: %s %s %s", system.sysname, system.release, system.machine);
    if (auto version = postcot::config::read_text("/etc/debian_version")) {
        std::printf(" Debian %s", std::string(postcot::config::trim(*version)).c_str());
    }
    std::printf("\n# Hostname: %s\n", postcot::config::host_name().c_str());
}

}   // namespace

int main(int argc, char** argv) {
    postcot::doveconf::Options options;
    const char* file = nullptr;
    bool defaults = false;
    bool only_changed = false;
    const option long_options[] = {{"man-table", no_argument, nullptr, 1000}, {nullptr, 0, nullptr, 0}};
    for (int c; (c = ::getopt_long(argc, argv, "ac:df:hknNPSmx", long_options, nullptr)) != -1;) {
        switch (c) {
            case 1000: print_table(); return 0;
            case 'a': options.all = true; break;
            case 'c': file = optarg; break;
            case 'd': defaults = true; break;
            case 'f': {
                std::string_view filter = optarg;
                size_t equals = filter.find('=');
                std::string_view kind = filter.substr(0, equals);
                if (equals == std::string_view::npos || (kind != "protocol" && kind != "service")) {
                    std::fprintf(stderr, "doveconf: Fatal: filter %s is not supported: expected protocol=NAME\n",
                                 optarg);
                    return 64;
                }
                options.protocol = filter.substr(equals + 1);
                break;
            }
            case 'h': options.no_names = true; break;
            case 'k': options.only_names = true; break;
            case 'n': only_changed = true; break;
            case 'N': only_changed = options.set = true; break;
            case 'P': options.show_secrets = true; break;
            case 'x': options.expand_files = true; break;
            case 'm':
            case 'S': std::fprintf(stderr, "doveconf: Fatal: option -%c is not supported\n", c); return 64;
            default: return usage();
        }
    }
    options.all = !only_changed;
    std::string path = path_of(file);
    auto conf =
        defaults ? postcot::config::DovecotConf::parse("", path) : postcot::config::DovecotConf::load_file(path, true);
    if (!conf) {
        std::fprintf(stderr, "doveconf: Fatal: %s\n", conf.error().text.c_str());
        return kBadConfiguration;
    }
    for (const auto& warning : conf->warnings()) std::fprintf(stderr, "doveconf: Warning: %s\n", warning.c_str());
    if (optind == argc) {
        print_head(path);
        postcot::doveconf::print_all(options, *conf);
        return 0;
    }
    for (int i = optind; i < argc; ++i) {
        if (!postcot::doveconf::print_named(options, *conf, argv[i])) {
            std::fprintf(stderr, "doveconf: Warning: unknown setting: %s\n", argv[i]);
        }
    }
    return 0;
}
