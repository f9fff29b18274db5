// Child programs (|command, filters, test peers): argv only, never a shell unless argv names one.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/fd.h"
#include "libproto/runtime/loop.h"

namespace postcot {

struct SubprocessOptions {
    std::vector<std::string> argv;          // argv[0] is a path or is looked up in PATH
    std::vector<std::string> environment;   // "NAME=value"; the whole environment
    std::string directory;
    int stdin_fd = -1;                      // inherited as 0; -1: /dev/null
    size_t max_output = 64 * 1024;          // stdout and stderr together; the rest is read and dropped
    bool kill_group = true;                 // own process group; a timeout kills all of it
};

struct SubprocessResult {
    int status = 0;        // as from waitpid
    std::string output;
    bool timed_out = false;
};

Task<Expected<SubprocessResult>> run_subprocess(SubprocessOptions options, Millis timeout);

// Waits for a child that was forked by hand. Each child of the process is reaped by one place: this one.
Task<Expected<int>> wait_child(pid_t pid);

}   // namespace postcot
