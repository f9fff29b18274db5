#include "libproto/login/process.h"

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace postcot::login {

void close_foreign_sockets(const std::vector<int>& keep) {
    DIR* dir = opendir("/proc/self/fd");
    if (!dir) return;
    std::vector<int> foreign;
    while (dirent* entry = readdir(dir)) {
        int fd = atoi(entry->d_name);
        if (fd <= 2 || std::find(keep.begin(), keep.end(), fd) != keep.end()) continue;
        int type = 0;
        socklen_t length = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM) foreign.push_back(fd);
    }
    closedir(dir);
    for (int fd : foreign) close(fd);
}

}   // namespace postcot::login
