// The pid file of a half: exclusively locked while its supervisor lives, so that a stale one is told from a live one.
#pragma once

#include <sys/types.h>

#include <string>

#include "libproto/error.h"
#include "libproto/runtime/fd.h"

namespace postcot::control {

class PidFile {
  public:
    // Creates, locks and fills it. EEXIST when another process holds it: its pid is in Error::enhanced.
    static Expected<PidFile> claim(const std::string& path, pid_t pid);
    // The process that holds it; 0: nobody does.
    static pid_t holder(const std::string& path);

    void remove();   // unlinks and unlocks

  private:
    PidFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    UniqueFd fd_;
};

}   // namespace postcot::control
