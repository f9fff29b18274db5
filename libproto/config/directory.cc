#include "libproto/config/directory.h"

#include <unistd.h>

#include <cstdlib>

namespace postcot::config {
namespace {

std::string choose(std::string directory, const std::string& below, const std::string& file) {
    while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
    if (::access((directory + '/' + file).c_str(), F_OK) != 0 &&
        ::access((directory + '/' + below + '/' + file).c_str(), F_OK) == 0) {
        directory += '/' + below;
    }
    return directory;
}

}   // namespace

std::string postfix_directory(const char* option, bool* explicitly) {
    const char* named = option;
    if (!named) named = std::getenv("MAIL_CONFIG");
    if (explicitly) *explicitly = named != nullptr;
    return choose(named ? named : "/etc/postfix", "postfix", "main.cf");
}

std::string dovecot_directory(const char* option) {
    return choose(option ? option : "/etc/dovecot", "dovecot", "dovecot.conf");
}

}   // namespace postcot::config
