// Constructors of the table types, one per file; open_table() chooses. Internal to table/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/table/source.h"
#include "libproto/table/table.h"

namespace postcot::table {

using Opened = Expected<std::unique_ptr<Table>>;

// indexed_table.cc: hash, btree, lmdb. `index` is the LMDB file's path.
std::unique_ptr<Table> open_indexed(std::string_view type, const std::string& source, SourceFormat format);
std::string index_path(std::string_view type, const std::string& source);

// simple_tables.cc
Opened open_texthash(std::string_view path);
Opened open_inline(std::string_view name);
Opened open_static(std::string_view name);
Opened open_fail(std::string_view name);
Opened open_environ();
Opened open_random(std::string_view name);
Opened open_empty(std::string warning);   // finds nothing
Opened open_union(std::vector<std::unique_ptr<Table>> parts);
Opened open_pipe(std::vector<std::unique_ptr<Table>> parts);

// reloading_table.cc: opens by `open`, and again whenever the file changes; inline rules are opened as they are.
using Opener = Opened (*)(std::string_view name);
Opened open_reloading(std::string_view name, Opener open);

// unix_table.cc: "passwd.byname", "group.byname"
Opened open_unix(std::string_view name);

// regexp_table.cc, pcre_table.cc, cidr_table.cc: a path, or "{{rule}, {rule} ...}"
Opened open_regexp(std::string_view name);
Opened open_pcre(std::string_view name);
Opened open_cidr(std::string_view name);

}   // namespace postcot::table
