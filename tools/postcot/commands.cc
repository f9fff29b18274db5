#include "tools/postcot/commands.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/files.h"
#include "tools/postcot/pid_file.h"
#include "tools/postcot/spool.h"
#include "tools/postcot/supervisor.h"
#include "tools/postcot/systemd.h"

namespace postcot::control {

void Voice::say(const std::string& text) const { std::fprintf(stderr, "%s: %s\n", name.c_str(), text.c_str()); }

int Voice::refuse(const std::string& text) const {
    say("fatal: " + text);
    return 1;
}

namespace {

int complain(const Voice& voice, const Settings& settings) {
    for (const auto& problem : settings.problems) voice.say("fatal: " + problem);
    return settings.problems.empty() ? 0 : 1;
}

constexpr std::string_view kWarning = "warning: ";
bool is_warning(const std::string& line) {
    return line.find(kWarning) != std::string::npos && line.find("atal: ") == std::string::npos;
}

// What a daemon says of its configuration when it only reads it (-t): tables, restrictions, certificates, drivers. Lines of its standard error; only warnings
// when it would start.
std::vector<std::string> ask_daemon(const Settings& settings, const Service& service) {
    std::string program = find_program(service.name);
    int ends[2];
    if (program.empty() || ::pipe2(ends, O_CLOEXEC) < 0) return {};
    std::fflush(nullptr);
    pid_t pid = ::fork();
    if (pid == 0) {
        UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
        ::dup2(nothing.get(), 0);
        ::dup2(nothing.get(), 1);
        ::dup2(ends[1], 2);
        ::execl(program.c_str(), service.name.c_str(), "-c", settings.root.c_str(), "-t", nullptr);
        ::_exit(127);
    }
    ::close(ends[1]);
    std::string said;
    char block[1024];
    for (ssize_t n; (n = ::read(ends[0], block, sizeof block)) != 0;) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        said.append(block, static_cast<size_t>(n));
    }
    ::close(ends[0]);
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return {};
    std::vector<std::string> lines;
    for (size_t at = 0; at < said.size();) {
        size_t end = std::min(said.find('\n', at), said.size());
        auto line = said.substr(at, end - at);
        if (!line.empty() && (status != 0 || is_warning(line))) lines.push_back(std::move(line));
        at = end + 1;
    }
    if (lines.empty() && status != 0) lines.push_back(service.name + " cannot read its configuration");
    return lines;
}

// What the daemons of these halves would not start with.
int ask_daemons(const Voice& voice, const Settings& settings, const std::vector<Service>& services) {
    std::set<std::string> told, warned;   // imapd and pop3d read the same file
    for (const auto& service : services) {
        for (const auto& line : ask_daemon(settings, service)) {
            if (is_warning(line)) {
                const auto what = line.substr(line.find(kWarning) + kWarning.size());
                if (warned.insert(what).second) voice.say("warning: " + what);
                continue;
            }
            size_t text = line.find("atal: ");
            std::string what = text == std::string::npos ? line : line.substr(text + 6);
            if (told.insert(what).second) voice.say("fatal: " + what);
        }
    }
    return told.empty() ? 0 : 1;
}

const char* system_name(Half half) {
    return half == Half::kPostfix ? "the Postfix mail system" : "the Dovecot mailbox system";
}

pid_t supervisor_of(const Settings& settings, Half half) {
    auto file = settings.pid_files.find(half);
    return file == settings.pid_files.end() ? 0 : PidFile::holder(file->second);
}

// The half runs, and not under a supervisor of ours.
bool runs_in_units(const Settings& settings, Half half) {
    return supervisor_of(settings, half) <= 0 && has_units(settings, half) && unit_process(half) > 0;
}

bool serves_protocol(const Settings& settings, const Service& service) {
    if (service.name != "imapd" && service.name != "pop3d") return true;
    auto protocols = settings.dovecot->list("protocols");
    return std::find(protocols.begin(), protocols.end(), service.name == "imapd" ? "imap" : "pop3") != protocols.end();
}

// Those whose configuration can be read at all.
std::vector<Service> services_of(const Settings& settings, const std::vector<Half>& halves) {
    std::vector<Service> out;
    for (const auto& service : all_services()) {
        if (std::find(halves.begin(), halves.end(), service.half) == halves.end() || !settings.has(service.half))
            continue;
        if (service.half == Half::kPostfix && !settings.master) continue;
        if (serves_protocol(settings, service)) out.push_back(service);
    }
    return out;
}

// Detaches from the terminal; the first process waits for the supervisor's word.
int start_in_background(const Voice& voice, Settings settings, SupervisorOptions options) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return voice.refuse(std::string("pipe: ") + std::strerror(errno));
    std::fflush(nullptr);
    pid_t pid = ::fork();
    if (pid < 0) return voice.refuse(std::string("fork: ") + std::strerror(errno));
    if (pid == 0) {
        ::close(ends[0]);
        ::setsid();
        if (::fork() != 0) ::_exit(0);
        UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
        ::dup2(nothing.get(), 0);
        ::dup2(nothing.get(), 1);
        ::dup2(nothing.get(), 2);
        if (::chdir("/") < 0) ::_exit(1);
        options.report_fd = ends[1];
        ::_exit(supervise(std::move(settings), std::move(options)));
    }
    ::close(ends[1]);
    int status;
    ::waitpid(pid, &status, 0);
    std::string word;
    char block[1024];
    ssize_t n;
    while ((n = ::read(ends[0], block, sizeof block)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        word.append(block, static_cast<size_t>(n));
    }
    ::close(ends[0]);
    while (!word.empty() && word.back() == '\n') word.pop_back();
    if (word == "ok") return 0;
    return voice.refuse(word.empty() ? "the supervisor died while starting" : word);
}

}   // namespace

pid_t running(const Settings& settings, Half half) {
    pid_t pid = supervisor_of(settings, half);
    return pid <= 0 && has_units(settings, half) ? unit_process(half) : pid;
}

int start(const Voice& voice, const std::string& root, const StartOptions& options) {
    auto settings = load_settings(root);
    if (!settings) return voice.refuse(settings.error().text);
    SupervisorOptions supervisor;
    supervisor.verbose = options.verbose;
    std::set<std::string> wanted(options.only.begin(), options.only.end());
    for (const auto& service : all_services()) {
        bool named = wanted.erase(service.name) > 0;
        bool in_half = std::find(options.halves.begin(), options.halves.end(), service.half) != options.halves.end();
        if (options.only.empty() ? !in_half || !settings->has(service.half) : !named) continue;
        if (!settings->has(service.half))
            return voice.refuse("no configuration for " + service.name + " below " + root);
        if (options.only.empty() && !serves_protocol(*settings, service)) continue;
        supervisor.services.push_back(service);
    }
    if (!wanted.empty()) return voice.refuse("no such daemon: " + *wanted.begin());
    if (supervisor.services.empty()) return voice.refuse("nothing to start");
    for (const auto& service : supervisor.services) {
        if (running(*settings, service.half) > 0) {
            return voice.refuse(std::string(system_name(service.half)) + " is already running");
        }
    }
    auto in_unit = [&](const Service& service) { return has_units(*settings, service.half); };
    bool plain = options.only.empty() && !options.foreground && !options.verbose;
    if (plain && std::all_of(supervisor.services.begin(), supervisor.services.end(), in_unit)) {
        std::set<Half> halves;
        for (const auto& service : supervisor.services) halves.insert(service.half);
        int status = 0;
        for (Half half : halves) status |= systemctl("start", half);
        return status;
    }
    if (ask_daemons(voice, *settings, supervisor.services) != 0) return 1;
    // Relative paths would mean something else in the daemons.
    if (settings->root.empty() || settings->root[0] != '/') {
        char* absolute = ::realpath(settings->root.c_str(), nullptr);
        if (absolute) settings->root = absolute;
        ::free(absolute);
    }
    if (options.foreground) return supervise(std::move(*settings), std::move(supervisor));
    return start_in_background(voice, std::move(*settings), std::move(supervisor));
}

int stop(const Voice& voice, const Settings& settings, const std::vector<Half>& halves) {
    std::set<Half> waiting;
    int status = 0;
    bool in_units = false;
    for (Half half : halves) {
        if (runs_in_units(settings, half)) {
            in_units = true;
            status |= systemctl("stop", half);
            continue;
        }
        pid_t pid = supervisor_of(settings, half);
        if (pid <= 0) continue;
        if (::kill(pid, stop_signal(half)) < 0) return voice.refuse(std::string("kill: ") + std::strerror(errno));
        waiting.insert(half);
    }
    if (waiting.empty() && in_units) return status;
    if (waiting.empty()) {
        return voice.refuse(
            (halves.size() == 1 ? std::string(system_name(halves[0])) : std::string("the mail system")) +
            " is not running");
    }
    // The supervisor itself kills what does not end in 20 s per step.
    constexpr int kPatienceSeconds = 75;
    for (int tenths = 0; tenths < kPatienceSeconds * 10; ++tenths) {
        std::erase_if(waiting, [&](Half half) { return supervisor_of(settings, half) == 0; });
        if (waiting.empty()) return status;
        ::usleep(100 * 1000);
    }
    return voice.refuse("the supervisor does not end");
}

int reload(const Voice& voice, const Settings& settings, const std::vector<Half>& halves) {
    std::map<pid_t, int> signals;   // one supervisor may hold both halves
    int status = 0;
    bool in_units = false;
    for (Half half : halves) {
        if (runs_in_units(settings, half)) {
            in_units = true;
            status |= systemctl("reload", half);
            continue;
        }
        pid_t pid = supervisor_of(settings, half);
        if (pid > 0) signals[pid] = signals.count(pid) ? SIGHUP : reload_signal(half);
    }
    for (auto [pid, signum] : signals) {
        if (::kill(pid, signum) < 0) return voice.refuse(std::string("kill: ") + std::strerror(errno));
    }
    // The daemons say in the log what is wrong and keep what they have; here it is said too.
    if (!signals.empty() || in_units)
        return complain(voice, settings) | ask_daemons(voice, settings, services_of(settings, halves)) | status;
    return voice.refuse((halves.size() == 1 ? std::string(system_name(halves[0])) : std::string("the mail system")) +
                        " is not running");
}

int check(const Voice& voice, const Settings& settings, const std::vector<Half>& halves) {
    int status = complain(voice, settings) | ask_daemons(voice, settings, services_of(settings, halves));
    for (Half half : halves) {
        if (!settings.has(half)) continue;
        if (auto made = create_folders(settings, half); !made) {
            voice.say("warning: " + made.error().text);
            status = 1;
        }
        for (const auto& wrong : check_folders(settings, half)) {
            voice.say("warning: " + wrong);
            status = 1;
        }
        auto warnings = half == Half::kPostfix ? settings.main->warnings(settings.master ? &*settings.master : nullptr)
                                               : settings.dovecot->warnings();
        for (const auto& warning : warnings) voice.say("warning: " + warning);
    }
    return status;
}

int run_sibling(const Voice& voice, const std::string& program, const std::vector<std::string>& arguments) {
    std::string path = find_program(program);
    for (const char* folder : {"/usr/sbin/", "/usr/bin/"}) {   // where the packages have them
        if (path.empty() && ::access((folder + program).c_str(), X_OK) == 0) path = folder + program;
    }
    if (path.empty()) path = program;
    std::vector<char*> argv = {const_cast<char*>(program.c_str())};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(path.c_str(), argv.data());
    return voice.refuse("cannot run " + path + ": " + std::strerror(errno));
}

}   // namespace postcot::control
