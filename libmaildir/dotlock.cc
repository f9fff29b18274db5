#include "libmaildir/dotlock.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <thread>
#include <utility>

namespace postcot::maildir {

namespace {

const std::string& host_name() {
    static const std::string name = [] {
        char buffer[256] = "";
        ::gethostname(buffer, sizeof buffer - 1);
        return std::string(buffer);
    }();
    return name;
}

// Whether the holder cannot be alive any more.
bool is_stale(Files& files, const std::string& lock, std::chrono::seconds after) {
    auto status = files.stat(lock);
    if (!status) return false;
    auto content = read_file(files, lock, 1024);
    if (content) {
        size_t colon = content->find(':');
        if (colon != std::string::npos && std::string_view(*content).substr(colon + 1) == host_name()) {
            long pid = std::strtol(content->c_str(), nullptr, 10);
            if (pid > 0 && ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return true;
        }
    }
    return std::time(nullptr) - status->st_mtime > after.count();
}

}   // namespace

DotLock::DotLock(DotLock&& other) noexcept
    : files_(std::exchange(other.files_, nullptr)), path_(std::move(other.path_)) {}

DotLock& DotLock::operator=(DotLock&& other) noexcept {
    if (this != &other) {
        release();
        files_ = std::exchange(other.files_, nullptr);
        path_ = std::move(other.path_);
    }
    return *this;
}

Expected<DotLock> DotLock::acquire(Files& files, const std::string& path, std::chrono::milliseconds timeout,
                                   std::chrono::seconds stale_after) {
    std::string lock = path + ".lock";
    auto deadline = std::chrono::steady_clock::now() + timeout;
    auto pause = std::chrono::microseconds(200);
    for (;;) {
        auto file = files.open(lock, Open::kCreateNew, 0600);
        if (file) {
            DotLock held;
            held.files_ = &files;
            held.path_ = path;
            auto written = (*file)->append(std::to_string(::getpid()) + ":" + host_name());
            // The name is the lock. On a full disk it stays empty, and is good until it is old: who deletes mail to make room needs it.
            if (!written && written.error().code != ENOSPC && written.error().code != EDQUOT)
                return fail(written.error());   // `held` takes the lock away again
            return held;
        }
        if (file.error().code != EEXIST) return fail(file.error());
        if (is_stale(files, lock, stale_after)) {
            (void)files.unlink(lock);
            continue;
        }
        if (std::chrono::steady_clock::now() >= deadline)
            return fail(EAGAIN, "INUSE", "Timeout while waiting for lock " + lock);
        std::this_thread::sleep_for(pause);
        if (pause < std::chrono::milliseconds(50)) pause *= 2;
    }
}

void DotLock::release() {
    if (!files_) return;
    (void)files_->unlink(path_ + ".lock");
    files_ = nullptr;
}

Expected<void> DotLock::replace_with(std::string_view content) {
    if (!files_) return fail(EINVAL, "not locked");
    std::string lock = path_ + ".lock";
    auto file = files_->open(lock, Open::kTruncate, 0600);
    if (!file) return fail(file.error());
    if (auto r = (*file)->append(content); !r) return r;
    if (auto r = (*file)->sync(); !r) return r;
    if (auto r = files_->rename(lock, path_); !r) return r;
    Files* files = std::exchange(files_, nullptr);
    return files->sync_dir(path_.substr(0, path_.rfind('/')));
}

}   // namespace postcot::maildir
