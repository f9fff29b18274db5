// Lookup tables "type:name" (DATABASE_README). Lookups are synchronous; a table that would wait for a network is reached through blocking().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/postfix.h"
#include "libproto/error.h"

namespace postcot::table {

// Not safe for use by two threads at once: an indexed table reopens its file when postmap replaced it.
class Table {
  public:
    virtual ~Table() = default;
    // nullopt: not found. An error is temporary (the caller answers 4xx or defers).
    virtual Expected<std::optional<std::string>> lookup(std::string_view key) = 0;
    // Pattern tables (regexp, pcre, cidr) get whole addresses only: no partial keys (localpart, @domain) are tried on them.
    virtual bool fixed_keys() const { return true; }
    // Rules that were left out when the table was read, one line each with file and line.
    const std::vector<std::string>& warnings() const { return warnings_; }

  protected:
    std::vector<std::string> warnings_;
};

// "hash:/etc/aliases", "inline:{a=b}", "cidr:{{10.0.0.0/8 OK}}" ... Errors: EINVAL for bad syntax, EOPNOTSUPP for a type that is not there, otherwise
// why the file cannot be read. A hash, btree or lmdb table whose files are absent opens and answers every lookup with that error until they appear.
Expected<std::unique_ptr<Table>> open_table(std::string_view spec, const config::MainCf& main);
std::vector<std::string> table_types();   // postconf -m

// A parameter's list of tables ("hash:a, regexp:b"), first match wins. Warnings of the tables are logged. A table that cannot be read does not keep the
// daemon from starting: its lookups are temporary errors, as in Postfix.
class Maps {
  public:
    static Expected<Maps> open(std::string_view parameter_value, const config::MainCf& main, std::string_view title);
    Expected<std::optional<std::string>> find(std::string_view key, bool only_fixed_keys = false) const;
    bool empty() const { return tables_.empty(); }

  private:
    std::vector<std::shared_ptr<Table>> tables_;
};

// Postfix's domain/host/address list matching: mydestination, mynetworks, relay_domains ... "!pattern", "/file/name", "type:table", ".domain",
// parent_domain_matches_subdomains, CIDR.
class MatchList {
  public:
    static Expected<MatchList> open(std::string_view parameter_value, const config::MainCf& main,
                                    std::string_view title);
    Expected<bool> matches_domain(std::string_view domain) const;
    Expected<bool> matches_host(std::string_view name, std::string_view address) const;   // mynetworks
    bool empty() const { return patterns_.empty(); }

  private:
    struct Pattern;
    Expected<bool> matches_name(const Pattern& pattern, std::string_view name) const;
    std::vector<std::shared_ptr<Pattern>> patterns_;
    bool match_subdomains_ = false;
};

}   // namespace postcot::table
