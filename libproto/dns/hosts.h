// hosts(5): names and addresses that need no server.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::dns {

class Hosts {
  public:
    // What is not understood is skipped, as the C library does.
    static Hosts parse(std::string_view text);

    // "localhost" is known even when the file is silent about it (RFC 6761 §6.3).
    std::vector<std::string> addresses(std::string_view name) const;
    // The first name on the address's first line; empty when there is none.
    std::string name(std::string_view address) const;

  private:
    std::multimap<std::string, std::string, std::less<>> by_name_;
    std::map<std::string, std::string, std::less<>> by_address_;
};

}   // namespace postcot::dns
