#include "tools/postcot/systemd.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "libproto/runtime/fd.h"

namespace postcot::control {

namespace {

constexpr int kNotRun = 127;   // as the shell says it

// Runs systemctl, with its output into `out` where given.
int run_systemctl(const std::vector<const char*>& arguments, std::string* out) {
    int ends[2] = {-1, -1};
    if (out && ::pipe2(ends, O_CLOEXEC) < 0) return kNotRun;
    UniqueFd from(ends[0]), to(ends[1]);
    pid_t pid = ::fork();
    if (pid < 0) return kNotRun;
    if (pid == 0) {
        if (out) ::dup2(to.get(), 1);
        std::vector<char*> argv = {const_cast<char*>("systemctl")};
        for (const char* argument : arguments) argv.push_back(const_cast<char*>(argument));
        argv.push_back(nullptr);
        ::execv("/usr/bin/systemctl", argv.data());
        ::execv("/bin/systemctl", argv.data());
        ::_exit(kNotRun);
    }
    to.reset();
    char block[256];
    ssize_t n;
    while (out && ((n = ::read(from.get(), block, sizeof block)) > 0 || (n < 0 && errno == EINTR))) {
        if (n > 0) out->append(block, static_cast<size_t>(n));
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : kNotRun;
}

const char* group_unit(Half half) { return half == Half::kPostfix ? "postfix.service" : "dovecot.service"; }
const char* first_unit(Half half) {
    return half == Half::kPostfix ? "postcot-queued.service" : "postcot-authd.service";
}

}   // namespace

bool has_units(const Settings& settings, Half half) {
    if (settings.root != "/etc" || ::access("/run/systemd/system", F_OK) != 0) return false;
    for (const char* folder : {"/lib/systemd/system/", "/usr/lib/systemd/system/"}) {
        if (::access((std::string(folder) + first_unit(half)).c_str(), F_OK) == 0) return true;
    }
    return false;
}

pid_t unit_process(Half half) {
    std::string text;
    if (run_systemctl({"show", "--property=MainPID", "--value", first_unit(half)}, &text) != 0) return 0;
    return static_cast<pid_t>(std::strtol(text.c_str(), nullptr, 10));
}

int systemctl(const std::string& verb, Half half) {
    // Starting the group does not wait for its parts; naming one does.
    if (verb == "start") return run_systemctl({"start", group_unit(half), first_unit(half)}, nullptr);
    return run_systemctl({verb.c_str(), group_unit(half)}, nullptr);
}

}   // namespace postcot::control
