// The right-hand sides of aliases(5) and the lines of .forward and :include: files: what mail is passed on to.
// Pure and total: any bytes give destinations.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::queued {

struct AliasTarget {
    enum class Kind {
        kAddress,    // user, user@example.com, in internal form
        kExact,      // \user: that mailbox, without looking at aliases and .forward
        kCommand,    // |command
        kFile,       // /file/name, or /directory/ for a Maildir
        kHomeFile,   // ~/file/name or ~user/file/name
        kInclude,    // :include:/file/name
    };
    Kind kind = Kind::kAddress;
    std::string value;
    bool operator==(const AliasTarget& other) const { return kind == other.kind && value == other.value; }
};

// One logical line, read as an address list (smtp/address_list.h). Quotes keep white space and commas together ("|command args"). At most `max`
// destinations; the rest is not looked at.
std::vector<AliasTarget> parse_destinations(std::string_view line, size_t max = 100000);

// A file of such lines: those that begin with # are comments; each line stands by itself.
std::vector<AliasTarget> parse_destination_file(std::string_view text, size_t max = 100000);

}   // namespace postcot::queued
