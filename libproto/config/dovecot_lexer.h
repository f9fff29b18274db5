// One line of dovecot.conf -> what it says. Pure and total.
#pragma once

#include <string>
#include <string_view>

#include "libproto/error.h"

namespace postcot::config {

struct DovecotLine {
    enum class What { kNothing, kSetting, kOpen, kClose, kInclude, kIncludeTry };
    What what = What::kNothing;
    std::string key;              // setting: its name; open: the section's type
    std::string value;            // setting: unquoted; open: the section's name; include: the pattern
    bool from_file = false;       // setting: written as <path; value is the path
    bool literal = false;         // setting: in 'single quotes', where $name means itself
    bool doubtful_hash = false;   // a '#' glued to what stands before it was taken for a comment
};

// Cuts a comment: '#' outside quotes. Quotes count only where a value or name may start, as in Dovecot: after white space or '='. `doubtful`: the '#' is
// glued to what stands before it.
std::string_view without_dovecot_comment(std::string_view line, bool& doubtful);

// `line` is a logical line: comments cut, continuations joined.
Expected<DovecotLine> read_dovecot_line(std::string_view line);

// "text" with \" and \\ undone when it stands in double or single quotes as a whole; itself otherwise.
std::string unquote_dovecot(std::string_view text);

}   // namespace postcot::config
