#include "libmaildir/types.h"

#include <algorithm>

namespace postcot::maildir {

bool contains(const NumberSet& set, uint32_t number) {
    auto it = std::upper_bound(set.begin(), set.end(), number,
                               [](uint32_t n, const NumberRange& range) { return n < range.first; });
    return it != set.begin() && number <= std::prev(it)->last;
}

}   // namespace postcot::maildir
