// postconf's parts; main.cc explains the command.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/edit.h"
#include "libproto/config/postfix.h"

namespace postcot::postconf {

struct Options {
    std::string directory;
    bool directory_named = false;          // by -c or $MAIL_CONFIG
    char what = 'p';                       // p: main.cf, M: services, F: their fields, P: their parameters
    bool defaults = false;                 // -d
    bool only_set = false;                 // -n
    bool edit = false;                     // -e
    bool remove = false;                   // -X
    bool comment = false;                  // -#
    bool fold = false;                     // -f
    bool no_names = false;                 // -h
    bool no_values = false;                // -H
    bool expand = false;                   // -x
    std::string parameter_class = "all";   // -C builtin, service, user, all
    std::vector<std::pair<std::string, std::string>> overrides;   // -o name=value
    std::vector<std::string> arguments;
};

[[noreturn]] void fatal(std::string_view text);
void warn(std::string_view text);
void print_setting(const Options& options, std::string_view name, std::string_view value);

// show_main.cc, show_master.cc
void show_main(const Options& options);
void show_master(const Options& options);

// change.cc: -e, -X, -# in all their combinations.
void change(const Options& options);
// "name = value" -> both, trimmed; fatal when it is none.
std::pair<std::string, std::string> split_setting(std::string_view text);

// services.cc
struct Services {
    std::vector<config::MasterPiece> pieces;
    config::MasterCf master;
};
config::MainCf load_main(const Options& options);
// Empty when there is no master.cf.
Services load_services(const Options& options, const config::MainCf& main);
// Does "name/type" (either may be "*"; type may be left out) mean this service?
bool names_service(std::string_view pattern, const config::MasterEntry& entry);
int field_index(std::string_view field);   // -1: no such field
std::string_view field_name(size_t index);

}   // namespace postcot::postconf
