// What the supervisor needs to know of the configuration, and where things are.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/dovecot.h"
#include "libproto/config/postfix.h"
#include "libproto/error.h"

namespace postcot::control {

// The halves that `postfix` and `dovecot` command on their own.
enum class Half { kPostfix, kDovecot };

struct Service {
    std::string name;   // "smtpd"; also the program's file name
    Half half;
    int stop_order;   // smaller ones are stopped first
};
// All five, in the order they are started.
const std::vector<Service>& all_services();

struct Settings {
    std::string root;                     // -c ROOT
    std::optional<config::MainCf> main;   // absent: no ROOT/postfix/main.cf, or it cannot be read
    std::optional<config::MasterCf> master;
    std::optional<config::DovecotConf> dovecot;   // absent: no ROOT/dovecot/dovecot.conf, or it cannot be read
    std::map<Half, std::string> pid_files;        // of the halves that have a file: $queue_directory/pid/master.pid ...
    std::vector<std::string> problems;            // files that are there and wrong

    bool has(Half half) const { return half == Half::kPostfix ? main.has_value() : dovecot.has_value(); }
    std::vector<std::string> warnings() const;
};

// Reads what is there. For stopping and asking: a wrong file is a problem named, and the pid file is found all the same.
Settings read_settings(const std::string& root);
// The same, but a wrong file, or no configuration at all, is an error.
Expected<Settings> load_settings(const std::string& root);

// Where this program's siblings are: its own folder, else /usr/lib/postcot. Empty when there is no such program.
std::string find_program(std::string_view name);

}   // namespace postcot::control
