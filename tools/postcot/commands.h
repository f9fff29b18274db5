// What `postcot`, `postfix` and `dovecot` do, whatever they are called by.
#pragma once

#include <string>
#include <vector>

#include "tools/postcot/settings.h"

namespace postcot::control {

// How a command speaks: "postfix/postfix-script: " or "postcot: ".
struct Voice {
    std::string name;
    void say(const std::string& text) const;
    int refuse(const std::string& text) const;   // "fatal: ..."; returns 1
};

struct StartOptions {
    std::vector<Half> halves;
    std::vector<std::string> only;   // daemon names; empty: all
    bool foreground = false;
    bool verbose = false;
};

int start(const Voice& voice, const std::string& root, const StartOptions& options);
int stop(const Voice& voice, const Settings& settings, const std::vector<Half>& halves);
int reload(const Voice& voice, const Settings& settings, const std::vector<Half>& halves);
int check(const Voice& voice, const Settings& settings, const std::vector<Half>& halves);
// The pid of the supervisor of a half; 0: does not run.
pid_t running(const Settings& settings, Half half);

// A sibling program in place of this one.
int run_sibling(const Voice& voice, const std::string& program, const std::vector<std::string>& arguments);

}   // namespace postcot::control
