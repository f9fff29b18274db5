// doveadm log errors: the last errors and warnings, read from where they were logged: the file of log_path, or for syslog the journal or mail.log.
// (Dovecot's log process keeps them in memory; here there is no such process.)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/subprocess.h"
#include "tools/doveadm/doveadm.h"

namespace postcot::doveadm {

namespace {

constexpr size_t kMaxErrors = 1000;   // as Dovecot's ring
constexpr off_t kTail = 16 << 20;     // of a log file

// "Nov 24 08:33:07 auth: Error: text" or "Nov 24 08:33:07 host dovecot: auth: Error: text" -> "Nov 24 08:33:07 Error: auth: text".
bool as_error(std::string_view line, bool from_syslog, std::string& out) {
    if (line.size() < 16) return false;
    std::string_view stamp = line.substr(0, 15);
    std::string_view rest = line.substr(16);
    if (from_syslog) {
        auto ident = rest.find(" dovecot");
        if (ident == std::string_view::npos) return false;
        rest.remove_prefix(ident);
        auto colon = rest.find(": ");
        if (colon == std::string_view::npos) return false;
        rest.remove_prefix(colon + 2);
    }
    for (std::string_view level : {"Error: ", "Warning: ", "Fatal: ", "Panic: "}) {
        auto at = rest.find(level);
        // Only after the prefix "auth: ", "imap(user)<1><s>: ": not inside a message.
        if (at == std::string_view::npos || at == 0 || rest.substr(0, at).find(": Info: ") != std::string_view::npos ||
            rest[at - 1] != ' ')
            continue;
        out = std::string(stamp) + " " + std::string(level) + std::string(rest.substr(0, at)) +
              std::string(rest.substr(at + level.size()));
        return true;
    }
    return false;
}

// -1: the year is not in the stamp; the last time that date was is meant.
time_t time_of(const std::string& line) {
    tm parts{};
    time_t now = time(nullptr);
    localtime_r(&now, &parts);
    int year = parts.tm_year;
    if (!strptime(line.substr(0, 15).c_str(), "%b %e %H:%M:%S", &parts)) return 0;
    parts.tm_year = year;
    parts.tm_isdst = -1;
    time_t when = mktime(&parts);
    if (when > now + 86400) {
        parts.tm_year = year - 1;
        when = mktime(&parts);
    }
    return when;
}

void collect(std::string_view text, bool from_syslog, std::deque<std::string>& errors) {
    while (!text.empty()) {
        auto end = text.find('\n');
        std::string line;
        if (as_error(text.substr(0, end), from_syslog, line)) {
            errors.push_back(std::move(line));
            if (errors.size() > kMaxErrors) errors.pop_front();
        }
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
}

bool read_tail(const std::string& path, std::string& out) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat st {};
    if (!fd || fstat(fd.get(), &st) != 0) return false;
    off_t start = st.st_size > kTail ? st.st_size - kTail : 0;
    out.resize(static_cast<size_t>(st.st_size - start));
    size_t have = 0;
    while (have < out.size()) {
        ssize_t got = pread(fd.get(), out.data() + have, out.size() - have, start + static_cast<off_t>(have));
        if (got <= 0) break;
        have += static_cast<size_t>(got);
    }
    out.resize(have);
    return true;
}

std::string log_path(Context& context, const char* setting) {
    const auto& conf = context.need_conf();
    std::string path = conf.str(setting);
    if (path.empty()) path = conf.str("log_path");
    return path.empty() ? "syslog" : path;
}

}   // namespace

int log_errors(Context& context, const Arguments& arguments) {
    Options options;
    if (!parse_options(arguments, "", "s", "log errors [-s <min_timestamp>]", options)) return EX_USAGE;
    long since = options.has('s') ? std::atol(options.value('s').c_str()) : 0;
    std::string path = log_path(context, "log_path");
    std::deque<std::string> errors;
    std::string text;
    if (path == "/dev/stderr" || path == "/dev/stdout") {
        error("log_path = " + path + ": what was logged there is not kept");
        return EX_UNAVAILABLE;
    }
    if (path != "syslog") {
        if (!read_tail(path, text)) {
            error("open(" + path + ") failed: " + std::strerror(errno));
            return errno == ENOENT ? EX_NOINPUT : EX_NOPERM;
        }
        collect(text, false, errors);
    } else if (read_tail("/var/log/mail.log", text)) {
        collect(text, true, errors);
    } else {
        Loop loop;
        SubprocessOptions journal;
        journal.argv = {"journalctl",
                        "--no-pager",
                        "-q",
                        "-o",
                        "short",
                        "-t",
                        "dovecot",
                        "-p",
                        "warning",
                        "-n",
                        std::to_string(kMaxErrors)};
        journal.environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
        journal.max_output = static_cast<size_t>(kTail);
        auto result = loop.run_until_complete(run_subprocess(journal, Millis(30000)));
        if (!result || result->status != 0) {
            error("neither /var/log/mail.log nor the journal can be read");
            return EX_UNAVAILABLE;
        }
        collect(result->output, true, errors);
    }
    for (const auto& line : errors) {
        if (since == 0 || time_of(line) >= since) std::printf("%s\n", line.c_str());
    }
    return 0;
}

int log_find(Context& context, const Arguments& arguments) {
    if (!arguments.empty()) {
        std::fprintf(stderr, "usage: doveadm log find\n");
        return EX_USAGE;
    }
    for (auto [level, setting] : {std::pair{"Debug", "debug_log_path"},
                                  {"Info", "info_log_path"},
                                  {"Warning", "log_path"},
                                  {"Error", "log_path"},
                                  {"Fatal", "log_path"}}) {
        std::string path = log_path(context, setting);
        if (path == "syslog") path = "Not found from the configuration: syslog (facility mail)";
        std::printf("%s: %s\n", level, path.c_str());
    }
    return 0;
}

}   // namespace postcot::doveadm
