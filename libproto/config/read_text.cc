#include "libproto/config/read_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postcot::config {

Expected<std::string> read_text(const std::string& path) {
    constexpr size_t kMax = size_t{16} << 20;
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return fail_errno(errno, "open " + path);
    std::string text;
    char buffer[65536];
    for (;;) {
        ssize_t got = ::read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int saved = errno;
            ::close(fd);
            return fail_errno(saved, "read " + path);
        }
        if (got == 0) break;
        text.append(buffer, static_cast<size_t>(got));
        if (text.size() > kMax) {
            ::close(fd);
            return fail(EFBIG, path + ": a configuration file of more than 16 MB");
        }
    }
    ::close(fd);
    return text;
}

}   // namespace postcot::config
