// NAME
//     postalias - make and ask Postfix alias databases
//
// SYNOPSIS
//     postalias [-finNoprsuUvw] [-c DIR] [-d key] [-q key] [type:]file...
//
// DESCRIPTION
//     As postmap(1), for files of "name: value, value" lines (aliases(5)).
#include "tools/postmap/index_command.h"

int main(int argc, char** argv) {
    return postcot::index_command(argc, argv, "postalias", postcot::table::SourceFormat::kAliases);
}
