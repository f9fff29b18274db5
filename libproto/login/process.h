// Inside libproto/login: what a forked child does before anything else.
#pragma once

#include <initializer_list>
#include <vector>

namespace postcot::login {

// Closes every stream socket that is not in `keep` (and not 0-2): listeners and channels of the parent that are none of
// the child's business.
void close_foreign_sockets(const std::vector<int>& keep);

}   // namespace postcot::login
