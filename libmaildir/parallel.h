// Work over many message files on a few threads: reading and parsing a hundred thousand of them is what a first look at a folder costs.
#pragma once

#include <functional>

namespace postcot::maildir {

// Calls fn(0) .. fn(count - 1), in any order, on as many threads as the machine has (at most four) when there is enough to do; returns when all are done. `fn`
// must not throw.
void parallel_for(size_t count, const std::function<void(size_t)>& fn);

}   // namespace postcot::maildir
