// What postmap, postalias and newaliases share.
#pragma once

#include <string>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/table/source.h"

namespace postcot {

struct IndexOptions {
    const char* program = "postmap";
    table::SourceFormat format = table::SourceFormat::kMap;
    bool incremental = false;        // -i
    bool replace = false;            // -r
    bool quiet_duplicates = false;   // -w
    bool keep_case = false;          // -f
    bool file_values = false;        // -F
    bool default_mode = false;       // -p
};

// Makes (or with -i: extends from standard input) the index of "[type:]file". Exit status.
int build_index(const IndexOptions& options, const config::MainCf& main, const std::string& spec);

// The whole command line.
int index_command(int argc, char** argv, const char* program, table::SourceFormat format);

}   // namespace postcot
