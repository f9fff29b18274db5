// NAME
//     newaliases - make the indexes of all local alias files
//
// SYNOPSIS
//     newaliases [-v] [-c DIR]
//
// DESCRIPTION
//     Does what postalias(1) does for every table that alias_database in main.cf names. -C is -c under its sendmail name; -v and -o have no effect.
#include <unistd.h>

#include <cstdio>

#include "libproto/config/directory.h"
#include "tools/postmap/index_command.h"

int main(int argc, char** argv) {
    const char* directory = nullptr;
    bool wrong = false;
    for (int option; (option = ::getopt(argc, argv, "c:C:o:v")) != -1;) {
        if (option == 'c' || option == 'C') directory = optarg;
        if (option == '?') wrong = true;
    }
    if (wrong || optind < argc) {
        std::fprintf(stderr, "newaliases: fatal: usage: newaliases [-v] [-c config_dir]\n");
        return 64;
    }
    auto main = postcot::config::MainCf::load(postcot::config::postfix_directory(directory));
    if (!main) {
        std::fprintf(stderr, "newaliases: fatal: %s\n", main.error().text.c_str());
        return 1;
    }
    postcot::IndexOptions options;
    options.program = "newaliases";
    options.format = postcot::table::SourceFormat::kAliases;
    int failed = 0;
    for (const auto& spec : main->list("alias_database")) failed |= postcot::build_index(options, *main, spec);
    return failed;
}
