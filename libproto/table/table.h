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

class Table {
  public:
    virtual ~Table() = default;
    // nullopt: not found. An error is temporary (the caller answers 4xx or defers).
    virtual Expected<std::optional<std::string>> lookup(std::string_view key) = 0;
    // Pattern tables (regexp, pcre, cidr) get whole addresses only: no partial keys (localpart, @domain) are tried on them.
    virtual bool fixed_keys() const { return true; }
};

// "hash:/etc/aliases", "inline:{a=b}", "cidr:{{10/8 OK}}" ... The error names the table and, inside it, the line.
Expected<std::unique_ptr<Table>> open_table(std::string_view spec, const config::MainCf& main);
std::vector<std::string> table_types();   // postconf -m

// A parameter's list of tables ("hash:a, regexp:b"), first match wins.
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
    static Expected<MatchList> open(std::string_view parameter_value, const config::MainCf& main, std::string_view title);
    Expected<bool> matches_domain(std::string_view domain) const;
    Expected<bool> matches_host(std::string_view name, std::string_view address) const;   // mynetworks
    bool empty() const { return patterns_.empty(); }

  private:
    struct Pattern;
    std::vector<std::shared_ptr<Pattern>> patterns_;
    bool match_subdomains_ = false;
};

}   // namespace postcot::table
