#include "tools/postcot/settings.h"

#include <unistd.h>

#include <climits>

#include "libproto/runtime/files.h"

namespace postcot::control {

const std::vector<Service>& all_services() {
    // Those that others connect to come first, and are stopped last.
    static const std::vector<Service> services = {
        {"authd", Half::kDovecot, 2}, {"queued", Half::kPostfix, 1}, {"smtpd", Half::kPostfix, 0},
        {"imapd", Half::kDovecot, 0}, {"pop3d", Half::kDovecot, 0},
    };
    return services;
}

std::string Settings::pid_file(Half half) const {
    if (half == Half::kPostfix) return main->str("queue_directory") + "/pid/master.pid";
    return dovecot->str("base_dir") + "/master.pid";
}

std::vector<std::string> Settings::warnings() const {
    std::vector<std::string> all;
    if (main) all = main->warnings(master ? &*master : nullptr);
    if (dovecot) {
        auto more = dovecot->warnings();
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

Expected<Settings> load_settings(const std::string& root) {
    Settings settings;
    settings.root = root;
    if (Files::disk().exists(root + "/postfix/main.cf")) {
        auto main = config::MainCf::load(root + "/postfix");
        if (!main) return fail(main.error());
        auto master = config::MasterCf::load(root + "/postfix", *main);
        if (!master) return fail(master.error());
        settings.main = std::move(*main);
        settings.master = std::move(*master);
    }
    if (Files::disk().exists(root + "/dovecot/dovecot.conf")) {
        auto dovecot = config::DovecotConf::load(root + "/dovecot");
        if (!dovecot) return fail(dovecot.error());
        settings.dovecot = std::move(*dovecot);
    }
    if (!settings.main && !settings.dovecot) {
        return fail(ENOENT, "neither " + root + "/postfix/main.cf nor " + root + "/dovecot/dovecot.conf exists");
    }
    return settings;
}

std::string find_program(std::string_view name) {
    std::vector<std::string> folders;
    char self[PATH_MAX];
    ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
    if (n > 0) {
        std::string path(self, static_cast<size_t>(n));
        folders.push_back(path.substr(0, path.rfind('/')));
    }
    folders.emplace_back("/usr/lib/postcot");
    for (const auto& folder : folders) {
        std::string path = folder + "/" + std::string(name);
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    return {};
}

}   // namespace postcot::control
