// NAME
//     newaliases - make the indexes of all local alias files
//
// SYNOPSIS
//     newaliases [-c DIR]
//
// DESCRIPTION
//     Does what postalias(1) does for every table that alias_database in main.cf names.
#include <cstdio>
#include <cstring>

#include "libproto/config/directory.h"
#include "tools/postmap/index_command.h"

int main(int argc, char** argv) {
    const char* directory = nullptr;
    for (int i = 1; i + 1 < argc; ++i) {
        if (std::strcmp(argv[i], "-c") == 0) directory = argv[i + 1];
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
