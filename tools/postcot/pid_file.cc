#include "tools/postcot/pid_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace postcot::control {

namespace {
pid_t read_pid(int fd) {
    char text[64] = "";   // Postfix pads the number with blanks
    ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? static_cast<pid_t>(std::strtol(text, nullptr, 10)) : 0;
}
}   // namespace

Expected<PidFile> PidFile::claim(const std::string& path, pid_t pid) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return fail_errno(errno, "open " + path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
        return fail(EEXIST, std::to_string(read_pid(fd.get())), path + " is in use");
    }
    std::string line = std::to_string(pid) + "\n";
    if (::ftruncate(fd.get(), 0) < 0 || ::pwrite(fd.get(), line.data(), line.size(), 0) < 0) {
        return fail_errno(errno, "write " + path);
    }
    return PidFile(path, std::move(fd));
}

pid_t PidFile::holder(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return 0;
    if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return 0;
    return read_pid(fd.get());
}

void PidFile::remove() {
    ::unlink(path_.c_str());
    fd_.reset();
}

}   // namespace postcot::control
