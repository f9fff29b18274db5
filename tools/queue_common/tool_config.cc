#include "tools/queue_common/tool_config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace postcot::tools {

void die(const char* program, int status, const std::string& text) {
    std::fprintf(stderr, "%s: fatal: %s\n", program, text.c_str());
    std::exit(status);
}

std::string config_directory(const std::string& given) {
    std::string directory = given;
    if (directory.empty()) {
        const char* environment = std::getenv("MAIL_CONFIG");
        directory = environment && *environment ? environment : kDefaultDirectory;
    }
    while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
    if (::access((directory + "/main.cf").c_str(), F_OK) != 0 &&
        ::access((directory + "/postfix/main.cf").c_str(), F_OK) == 0) {
        directory += "/postfix";
    }
    return directory;
}

config::MainCf load_config(const std::string& given, const char* program) {
    std::string directory = config_directory(given);
    const bool borrowed_rights = ::getegid() != ::getgid() || ::geteuid() != ::getuid();
    if (borrowed_rights && ::getuid() != 0 && directory != kDefaultDirectory) {
        auto standard = config::MainCf::load(kDefaultDirectory);
        auto allowed = standard ? standard->list("alternate_config_directories") : std::vector<std::string>();
        if (std::find(allowed.begin(), allowed.end(), directory) == allowed.end()) {
            die(program, 64, "untrusted configuration directory name: " + directory);
        }
    }
    auto main = config::MainCf::load(directory);
    if (!main) die(program, 75, main.error().text);
    return std::move(*main);
}

}   // namespace postcot::tools
