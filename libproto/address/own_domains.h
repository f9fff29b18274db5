// Which domains are this host: mydestination, and the addresses of inet_interfaces and proxy_interfaces as literals.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "libproto/config/postfix.h"
#include "libproto/error.h"
#include "libproto/table/table.h"

namespace postcot::address {

class OwnDomains {
  public:
    static Expected<std::shared_ptr<const OwnDomains>> open(const config::MainCf& main);

    // mydestination, or a [literal] of one of our addresses. An error is a table's: temporary.
    Expected<bool> has_domain(std::string_view domain) const;
    // Is this an address of inet_interfaces or proxy_interfaces (permit_inet_interfaces)?
    bool has_address(std::string_view ip) const;

  private:
    OwnDomains() = default;

    table::MatchList my_destination_;
    std::set<std::string> interfaces_;
};

}   // namespace postcot::address
