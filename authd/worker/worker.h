// The body of a root worker process: takes jobs until the other end closes. Plain blocking code, no event loop: a PAM module may do anything
// to its process, and whoever waits for the answer kills a worker that takes too long.
#pragma once

namespace postcot::authd {

// Returns the exit status.
int run_worker(int socket);

}   // namespace postcot::authd
