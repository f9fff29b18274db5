#include "libproto/ipc/postdrop.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace postcot::ipc {

// Mailers run sendmail with standard error closed: a pipe that took its number would be what postdrop writes its own errors to, and have no end.
void open_standard_descriptors() {
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", O_RDWR);   // gets the lowest number: this one
    }
}

Expected<PostdropRun> PostdropRun::start(const std::string& program, const std::string& config_directory,
                                         const MaildropHead& head) {
    open_standard_descriptors();
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    UniqueFd from(fds[0]);
    PostdropRun out;
    out.to_ = UniqueFd(fds[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, from.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions, 2, 1);   // our standard output may be an SMTP client
    std::string words[] = {"postdrop", "-c", config_directory};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    const int failed = ::posix_spawn(&out.pid_, program.c_str(), &actions, nullptr, argv, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        out.pid_ = -1;
        return fail_errno(failed, "execute " + program);
    }
    (void)out.write(maildrop_prefix(head));
    return out;
}

PostdropRun::PostdropRun(PostdropRun&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), to_(std::move(other.to_)) {}

PostdropRun::~PostdropRun() {
    if (pid_ > 0) (void)abandon();
}

bool PostdropRun::write(std::string_view content) {
    while (!content.empty()) {
        const ssize_t n = ::write(to_.get(), content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;   // postdrop is gone and has said why
        content.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

int PostdropRun::wait() {
    to_.reset();
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 75;
}

int PostdropRun::finish() {
    (void)write(kMaildropEnd);
    return wait();
}

int PostdropRun::abandon() { return wait(); }

}   // namespace postcot::ipc
