// Changing main.cf and master.cf as text: comments, order and everything not asked for stay as they are. Pure; the caller writes the file.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libproto/error.h"

namespace postcot::config {

enum class EditAction { kSet, kRemove, kCommentOut };

// kSet: "name = value" replaces the logical line of `name` or is appended; others: `value` is not used.
std::string edit_main_cf(std::string_view text, EditAction action,
                         const std::vector<std::pair<std::string, std::string>>& parameters);

// One service line of master.cf, its fields as written.
struct MasterEntry {
    std::vector<std::string> fields;      // service type private unprivileged chroot wakeup maxproc command: always 8
    std::vector<std::string> arguments;   // "-o" and its "name=value" (or "{name=value with blanks}") are two
    int line = 0;

    // postconf -M: columns, then the command with its arguments; folded: postconf -Mf, as it is written into the file.
    std::string format(bool folded) const;
    // "command arguments" on one line.
    std::string command_line() const;
    // Position in `arguments` of the value behind "-o" that sets `name`; npos when there is none.
    size_t find_override(std::string_view name) const;
    std::vector<std::pair<std::string, std::string>> overrides() const;
    void set_override(std::string_view name, std::string_view value);
    void remove_override(std::string_view name);
};

Expected<MasterEntry> parse_master_entry(std::string_view line);

// master.cf in pieces: each a service entry or verbatim text (comments, empty lines).
struct MasterPiece {
    std::string text;   // as it stands in the file, with line ends
    bool is_entry = false;
    bool changed = false;   // write entry.format(folded) instead of text
    MasterEntry entry;
};
Expected<std::vector<MasterPiece>> split_master_cf(std::string_view text, const std::string& file_name);
std::string join_master_cf(const std::vector<MasterPiece>& pieces);
// Every physical line of `text` that is not a comment or empty becomes one.
std::string comment_out(std::string_view text);

// "name = value words", broken at white space (not inside {}) so that no line passes 80 columns; continuation lines start with 4 blanks.
std::string fold_line(std::string_view text);
// White space runs outside {} become one blank.
std::string squeeze(std::string_view text);

}   // namespace postcot::config
