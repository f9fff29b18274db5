#include "tools/postcot/settings.h"

#include <unistd.h>

#include <algorithm>
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

std::vector<std::string> Settings::warnings() const {
    std::vector<std::string> all;
    if (main) all = main->warnings(master ? &*master : nullptr);
    if (dovecot) {
        auto more = dovecot->warnings();
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

namespace {

std::string pid_file_of(const config::MainCf& main) { return main.str("queue_directory") + "/pid/master.pid"; }
std::string pid_file_of(const config::DovecotConf& dovecot) { return dovecot.str("base_dir") + "/master.pid"; }

// The lines of a file that set one name, whatever else is wrong with the file.
std::string lines_setting(const std::string& path, std::string_view name) {
    std::string kept;
    auto text = read_file(Files::disk(), path);
    if (!text) return kept;
    std::string_view rest = *text;
    while (!rest.empty()) {
        std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (!line.starts_with(name)) continue;
        std::string_view after = line.substr(name.size());
        after.remove_prefix(std::min(after.find_first_not_of(" \t"), after.size()));
        if (!after.starts_with('=')) continue;
        kept += line;
        kept += '\n';
    }
    return kept;
}

void read_postfix(Settings& settings) {
    std::string directory = settings.root + "/postfix";
    std::string path = directory + "/main.cf";
    if (!Files::disk().exists(path)) return;
    auto main = config::MainCf::load(directory);
    if (main) {
        settings.pid_files[Half::kPostfix] = pid_file_of(*main);
        auto master = config::MasterCf::load(directory, *main);
        if (master) {
            settings.main = std::move(*main);
            settings.master = std::move(*master);
        } else {
            settings.problems.push_back(master.error().text);
        }
        return;
    }
    settings.problems.push_back(main.error().text);
    auto rescued = config::MainCf::parse(lines_setting(path, "queue_directory"), path);
    if (rescued) settings.pid_files[Half::kPostfix] = pid_file_of(*rescued);
}

void read_dovecot(Settings& settings) {
    std::string directory = settings.root + "/dovecot";
    std::string path = directory + "/dovecot.conf";
    if (!Files::disk().exists(path)) return;
    auto dovecot = config::DovecotConf::load(directory);
    if (dovecot) {
        settings.pid_files[Half::kDovecot] = pid_file_of(*dovecot);
        settings.dovecot = std::move(*dovecot);
        return;
    }
    settings.problems.push_back(dovecot.error().text);
    auto rescued = config::DovecotConf::parse(lines_setting(path, "base_dir"), path);
    if (rescued) settings.pid_files[Half::kDovecot] = pid_file_of(*rescued);
}

}   // namespace

Settings read_settings(const std::string& root) {
    Settings settings;
    settings.root = root;
    read_postfix(settings);
    read_dovecot(settings);
    if (settings.pid_files.empty() && settings.problems.empty()) {
        settings.problems.push_back("neither " + root + "/postfix/main.cf nor " + root +
                                    "/dovecot/dovecot.conf exists");
    }
    return settings;
}

Expected<Settings> load_settings(const std::string& root) {
    Settings settings = read_settings(root);
    if (!settings.problems.empty()) return fail(EINVAL, settings.problems.front());
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
