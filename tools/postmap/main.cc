// NAME
//     postmap - make and ask Postfix lookup tables
//
// SYNOPSIS
//     postmap [-fFinNoprsuUvw] [-c DIR] [-d key] [-q key] [type:]file...
//
// DESCRIPTION
//     Without -q, -d or -s: reads "key value" lines from each file and writes them into the index beside it: FILE.db for hash and btree, FILE.lmdb for
//     lmdb, all in LMDB's format. The index is made beside the old one and renamed over it, with the owner and mode of the source.
//
//     -q key      print the value (exit status 1: not found); any type of table may be asked; "-q -" takes keys from standard input
//     -d key      delete from the index; "-d -" likewise        -s   print all
//     -i          add the lines of standard input to the index  -r   duplicates replace      -w   no warning of duplicates
//     -f          keep the case of keys                         -F   values are file names: keep the files' content in base64
//     -c DIR      folder of main.cf                             -p   do not take over the source's mode
//     -n -N -o -u -U -v are accepted
//
// DIAGNOSTICS
//     Lines without a value and duplicates are named on standard error and left out.
#include "tools/postmap/index_command.h"

int main(int argc, char** argv) {
    return postcot::index_command(argc, argv, "postmap", postcot::table::SourceFormat::kMap);
}
