#include "libproto/runtime/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "libproto/runtime/fd.h"

namespace postcot {

namespace {

class DiskFile final : public File {
  public:
    DiskFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    Expected<size_t> read_at(char* buffer, size_t length, uint64_t offset) override {
        for (;;) {
            ssize_t n = ::pread(fd_.get(), buffer, length, static_cast<off_t>(offset));
            if (n >= 0) return static_cast<size_t>(n);
            if (errno != EINTR) return fail_errno(errno, "read " + path_);
        }
    }
    Expected<void> append(std::string_view data) override {
        auto at = size();
        if (!at) return fail(at.error());
        return write_at(data, *at);
    }
    Expected<void> write_at(std::string_view data, uint64_t offset) override {
        while (!data.empty()) {
            ssize_t n = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
            if (n < 0) {
                if (errno == EINTR) continue;
                return fail_errno(errno, "write " + path_);
            }
            data.remove_prefix(static_cast<size_t>(n));
            offset += static_cast<uint64_t>(n);
        }
        return {};
    }
    Expected<void> sync_data() override { return check(::fdatasync(fd_.get()), "fdatasync"); }
    Expected<void> sync() override { return check(::fsync(fd_.get()), "fsync"); }
    Expected<void> truncate(uint64_t length) override {
        return check(::ftruncate(fd_.get(), static_cast<off_t>(length)), "truncate");
    }
    Expected<uint64_t> size() override {
        struct stat status {};
        if (::fstat(fd_.get(), &status) < 0) return fail_errno(errno, "stat " + path_);
        return static_cast<uint64_t>(status.st_size);
    }
    int fd() const override { return fd_.get(); }

  private:
    Expected<void> check(int result, const char* what) {
        if (result < 0) return fail_errno(errno, std::string(what) + " " + path_);
        return {};
    }
    UniqueFd fd_;
    std::string path_;
};

class DiskFiles final : public Files {
  public:
    Expected<std::unique_ptr<File>> open(const std::string& path, Open how, mode_t mode) override {
        int flags = O_CLOEXEC | O_NOFOLLOW;
        switch (how) {
            case Open::kRead: flags = O_CLOEXEC | O_RDONLY; break;
            case Open::kCreateNew: flags |= O_RDWR | O_CREAT | O_EXCL; break;
            case Open::kReadWrite: flags |= O_RDWR | O_CREAT; break;
            case Open::kTruncate: flags |= O_RDWR | O_CREAT | O_TRUNC; break;
        }
        UniqueFd fd(::open(path.c_str(), flags, mode));
        if (!fd) return fail_errno(errno, "open " + path);
        return std::make_unique<DiskFile>(std::move(fd), path);
    }
    Expected<void> rename(const std::string& from, const std::string& to) override {
        if (::rename(from.c_str(), to.c_str()) < 0) return fail_errno(errno, "rename " + from + " to " + to);
        return {};
    }
    Expected<void> link(const std::string& from, const std::string& to) override {
        if (::link(from.c_str(), to.c_str()) < 0) return fail_errno(errno, "link " + from + " to " + to);
        return {};
    }
    Expected<void> unlink(const std::string& path) override { return check(::unlink(path.c_str()), "unlink ", path); }
    Expected<void> mkdir(const std::string& path, mode_t mode) override {
        return check(::mkdir(path.c_str(), mode), "mkdir ", path);
    }
    Expected<void> rmdir(const std::string& path) override { return check(::rmdir(path.c_str()), "rmdir ", path); }
    Expected<void> sync_dir(const std::string& path) override {
        UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) return fail_errno(errno, "open " + path);
        return check(::fsync(fd.get()), "fsync ", path);
    }
    Expected<std::vector<std::string>> list(const std::string& path) override {
        std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
        if (!directory) return fail_errno(errno, "opendir " + path);
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent* entry = ::readdir(directory.get());
            if (!entry) break;
            std::string_view name(entry->d_name);
            if (name != "." && name != "..") names.emplace_back(name);
        }
        if (errno) return fail_errno(errno, "readdir " + path);
        return names;
    }
    Expected<struct stat> stat(const std::string& path) override {
        struct stat status {};
        if (::stat(path.c_str(), &status) < 0) return fail_errno(errno, "stat " + path);
        return status;
    }
    bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  private:
    static Expected<void> check(int result, const char* what, const std::string& path) {
        if (result < 0) return fail_errno(errno, what + path);
        return {};
    }
};

std::string parent_of(const std::string& path) {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}   // namespace

Files& Files::disk() {
    static DiskFiles the_disk;
    return the_disk;
}

Expected<std::string> read_file(Files& files, const std::string& path, size_t max) {
    auto file = files.open(path, Open::kRead);
    if (!file) return fail(file.error());
    auto size = (*file)->size();
    if (!size) return fail(size.error());
    if (*size > max) return fail_errno(EFBIG, path);
    std::string content;
    // /proc files say 0, and a file may grow meanwhile: read until the end, not until the size.
    for (;;) {
        size_t have = content.size();
        content.resize(have + std::max<size_t>(have == 0 ? static_cast<size_t>(*size) + 1 : 4096, 512));
        auto n = (*file)->read_at(content.data() + have, content.size() - have, have);
        if (!n) return fail(n.error());
        content.resize(have + *n);
        if (content.size() > max) return fail_errno(EFBIG, path);
        if (*n == 0) return content;
    }
}

Expected<void> replace_file(Files& files, const std::string& path, std::string_view content, mode_t mode) {
    std::string temporary = path + ".tmp";
    auto write = [&]() -> Expected<void> {
        auto file = files.open(temporary, Open::kTruncate, mode);
        if (!file) return fail(file.error());
        auto done = (*file)->append(content);
        if (done) done = (*file)->sync();
        if (done) done = files.rename(temporary, path);
        return done;
    };
    auto written = write();
    if (!written) {
        static_cast<void>(files.unlink(temporary));
        return written;
    }
    return files.sync_dir(parent_of(path));
}

}   // namespace postcot
