// doveadm reload, stop, config: other programs of ours do the work.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tools/doveadm/doveadm.h"

namespace postcot::doveadm {

namespace {

// Replaces this process by the program beside it.
int run_sibling(const std::string& name, Arguments arguments) {
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    std::string beside;
    if (length > 0) {
        beside.assign(self, static_cast<size_t>(length));
        beside = beside.substr(0, beside.rfind('/') + 1) + name;
    }
    std::vector<char*> argv;
    arguments.insert(arguments.begin(), name);
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::fflush(stdout);
    if (!beside.empty()) execv(beside.c_str(), argv.data());
    // The packages have doveadm in /usr/bin and dovecot in /usr/sbin.
    if (beside == "/usr/bin/" + name) execv(("/usr/sbin/" + name).c_str(), argv.data());
    // Never PATH: a real Dovecot's program of that name may be there.
    error("cannot run " + beside + ": " + std::strerror(errno));
    return EX_UNAVAILABLE;
}

int control(Context& context, const char* command, const Arguments& arguments) {
    if (!arguments.empty()) {
        std::fprintf(stderr, "usage: doveadm %s\n", command);
        return EX_USAGE;
    }
    return run_sibling("dovecot", {"-c", context.config_file, command});
}

}   // namespace

int reload(Context& context, const Arguments& arguments) { return control(context, "reload", arguments); }
int stop(Context& context, const Arguments& arguments) { return control(context, "stop", arguments); }

int show_config(Context& context, const Arguments& arguments) {
    Arguments all{"-c", context.config_file};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_sibling("doveconf", std::move(all));
}

}   // namespace postcot::doveadm
