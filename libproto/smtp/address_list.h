// The one reader of address lists: header fields, sendmail(1)'s arguments and -t, aliases(5), .forward and :include: files. As liberal as Postfix's
// (what is said of it here was seen): words that stand side by side are addresses of their own ("a@x b@y, c@z" are three), white space around '@' and '.'
// does not count, RFC 5322 §3.4 groups, comments, display names and obsolete routes are understood, and nothing that stands where an address may stand is
// dropped because it is none: "x y@" are the addresses "x" and "y@", which then come back to their sender.
//
// Pure and total: any octets give a list.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::smtp {

struct ListedAddress {
    std::string address;   // internal form: quotes undone, without comments, white space and route
    size_t offset = 0;     // where it stands in the text, without its angle brackets
    size_t length = 0;
    bool operator==(const ListedAddress&) const = default;
};

enum class AddressListKind {
    kHeader,
    kDestinations,   // aliases(5), .forward: "|" begins a command, also where a word or a quoted string follows it
};

inline constexpr size_t kMaxListed = 100000;   // the rest is not looked at
std::vector<ListedAddress> read_address_list(std::string_view text, AddressListKind kind = AddressListKind::kHeader);

}   // namespace postcot::smtp
