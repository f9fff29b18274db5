// The text sources of tables: "key value" files of postmap(1), "name: value" files of postalias(1) (aliases(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postcot::table {

enum class SourceFormat { kMap, kAliases };

struct SourceEntry {
    std::string key;   // as written; unquoted in aliases
    std::string value;
    int line;
};

struct Source {
    std::vector<SourceEntry> entries;
    std::vector<std::string>
        warnings;   // "FILE, line 7: expected format: key whitespace value"; such lines are left out, as Postfix does
};

Source read_source(std::string_view text, const std::string& file, SourceFormat format);

// Keys are kept and looked up in lower case.
std::string fold_key(std::string_view key);

}   // namespace postcot::table
