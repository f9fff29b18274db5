// Dovecot's dotlocks: "<path>.lock", made with O_EXCL, holding "pid:host". A live Dovecot and we keep each other out.
#pragma once

#include <chrono>
#include <string>

#include "libproto/error.h"
#include "libproto/runtime/files.h"

namespace postcot::maildir {

class DotLock {
  public:
    DotLock() = default;
    DotLock(DotLock&& other) noexcept;
    DotLock& operator=(DotLock&& other) noexcept;
    ~DotLock() { release(); }

    // Waits; a lock of a dead process on this host, or one older than `stale_after`, is taken over. EAGAIN (INUSE) on timeout.
    static Expected<DotLock> acquire(Files& files, const std::string& path,
                                     std::chrono::milliseconds timeout = std::chrono::seconds(120),
                                     std::chrono::seconds stale_after = std::chrono::seconds(120));
    void release();
    explicit operator bool() const { return files_ != nullptr; }
    // Writes the lock file's own content and renames it over `path` (how Dovecot replaces a locked file); the lock ends.
    Expected<void> replace_with(std::string_view content);

  private:
    Files* files_ = nullptr;
    std::string path_;
};

}   // namespace postcot::maildir
