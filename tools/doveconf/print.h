// doveconf's output; main.cc explains the command.
#pragma once

#include <string>
#include <string_view>

#include "libproto/config/dovecot.h"

namespace postcot::doveconf {

struct Options {
    bool all = false;            // -a: defaults too
    bool set = false;            // -N: what is set, even when it equals its default
    bool no_names = false;       // -h
    bool only_names = false;     // -k
    bool show_secrets = false;   // -P
    bool expand_files = false;   // -x
    std::string protocol;        // -f protocol=NAME or service=NAME
};

// The whole configuration as one dovecot.conf.
void print_all(const Options& options, const config::DovecotConf& conf);
// One setting ("mail_location", "plugin/quota") or section ("passdb", "service/auth"). False when there is none.
bool print_named(const Options& options, const config::DovecotConf& conf, std::string_view name);

}   // namespace postcot::doveconf
