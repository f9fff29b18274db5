#include "libproto/runtime/log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace postcot::log {

namespace {

struct State {
    Options options;
    int fd = 2;
    std::string host;
};

// The one destination of the process: log lines may come from pool threads and from forked children.
State& state() {
    static State the_state;
    return the_state;
}

const char* tag(Dialect dialect, Level level, bool in_file) {
    if (dialect == Dialect::kPostfix) {
        switch (level) {
            case Level::kDebug:
            case Level::kInfo: return "";
            case Level::kWarning: return "warning: ";
            case Level::kError: return "error: ";
            case Level::kFatal: return "fatal: ";
            case Level::kPanic: return "panic: ";
        }
    }
    switch (level) {
        case Level::kDebug: return "Debug: ";
        case Level::kInfo: return in_file ? "Info: " : "";   // Dovecot leaves it to syslog's own level
        case Level::kWarning: return "Warning: ";
        case Level::kError: return "Error: ";
        case Level::kFatal: return "Fatal: ";
        case Level::kPanic: return "Panic: ";
    }
    return "";
}

int severity(Level level) {
    switch (level) {
        case Level::kDebug: return 7;
        case Level::kInfo: return 6;
        case Level::kWarning: return 4;
        case Level::kError: return 3;
        case Level::kFatal: return 2;
        case Level::kPanic: return 2;
    }
    return 6;
}

std::string timestamp() {
    // RFC 3164 §4.1.2, as syslog(3) writes it.
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = ::time(nullptr);
    struct tm local {};
    ::localtime_r(&now, &local);
    char text[32];
    std::snprintf(text, sizeof text, "%s %2d %02d:%02d:%02d", kMonths[local.tm_mon % 12], local.tm_mday, local.tm_hour,
                  local.tm_min, local.tm_sec);
    return text;
}

int connect_syslog() {
    int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, "/dev/log");
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        ::close(fd);
        return -1;
    }
    // A stuck syslog daemon must not stop the mail.
    timeval patience{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

void connect(State& s) {
    switch (s.options.destination.kind) {
        case Destination::Kind::kStderr: s.fd = 2; break;
        case Destination::Kind::kSyslog: s.fd = connect_syslog(); break;
        case Destination::Kind::kFile: {
            const std::string& path = s.options.destination.path;
            if (path == "/dev/stdout" || path == "/dev/stderr") {
                s.fd = 2;
                break;
            }
            s.fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
            if (s.fd < 0) {
                int saved = errno;
                s.fd = 2;
                write(Level::kWarning, "cannot open log file " + path + ": " + std::strerror(saved));
            }
            break;
        }
    }
}

void write_all(int fd, const std::string& line) {
    size_t done = 0;
    while (done < line.size()) {
        ssize_t n = ::write(fd, line.data() + done, line.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        done += static_cast<size_t>(n);
    }
}

// Length of the well-formed UTF-8 sequence at the start of `text`; 0 when there is none (RFC 3629 §4).
size_t utf8_length(std::string_view text) {
    auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
    if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;   // overlong
    if (byte(0) == 0xed && byte(1) > 0x9f) return 0;   // surrogate
    if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
    if (byte(0) == 0xf4 && byte(1) > 0x8f) return 0;
    return length;
}

// Peers choose parts of these lines: neither a control character nor a broken sequence reaches the log.
void append_clean(std::string& line, std::string_view text) {
    while (!text.empty()) {
        auto byte = static_cast<unsigned char>(text[0]);
        size_t length = 1;
        bool good = byte >= 0x20 && byte < 0x7f;
        if (byte >= 0x80) {
            length = utf8_length(text);
            good = length > 0;
            if (!good) length = 1;
        }
        if (good) {
            line.append(text.substr(0, length));
        } else {
            line += '?';
        }
        text.remove_prefix(length);
    }
}

}   // namespace

void open(Options options) {
    State& s = state();
    if (s.fd > 2) ::close(s.fd);
    s.options = std::move(options);
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    s.host = host;
    s.host = s.host.substr(0, s.host.find('.'));
    if (s.host.empty()) s.host = "localhost";
    ::tzset();   // reads /etc/localtime: not there any more after chroot
    connect(s);
}

int descriptor() { return state().fd > 2 ? state().fd : -1; }

void detach() {
    state().fd = 2;
    state().options.destination = {};
}

void reopen() {
    State& s = state();
    if (s.options.destination.kind == Destination::Kind::kStderr) return;
    int old = s.fd;
    connect(s);
    // In a chroot the file is out of reach: keep the old one.
    if (s.fd <= 2 && old > 2) {
        s.fd = old;
        return;
    }
    if (old > 2) ::close(old);
}

void set_prefix(std::string prefix) { state().options.prefix = std::move(prefix); }

void write(Level level, std::string_view text) { write_as(state().options.ident, level, text); }

void write_as(std::string_view ident, Level level, std::string_view text) {
    State& s = state();
    const Options& options = s.options;
    if (level == Level::kDebug && !options.debug) return;
    auto kind = options.destination.kind;
    bool dovecot = options.dialect == Dialect::kDovecot;
    std::string body(options.prefix);
    body += tag(options.dialect, level, kind != Destination::Kind::kSyslog);
    append_clean(body, text);

    std::string line;
    switch (kind) {
        case Destination::Kind::kStderr:
            if (!dovecot && !ident.empty()) line = std::string(ident) + ": ";
            line += body + "\n";
            write_all(2, line);
            return;
        case Destination::Kind::kFile:
            line = timestamp() + " ";
            if (!dovecot) {
                line += s.host + " ";
                line += std::string(ident) + "[" + std::to_string(::getpid()) + "]: ";
            }
            line += body + "\n";
            write_all(s.fd, line);
            return;
        case Destination::Kind::kSyslog: break;
    }
    line = "<" + std::to_string(options.facility | severity(level)) + ">" + timestamp() + " ";
    line += ident;
    if (!dovecot) line += "[" + std::to_string(::getpid()) + "]";
    line += ": " + body;
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (s.fd > 2 && ::send(s.fd, line.data(), line.size(), MSG_NOSIGNAL) >= 0) return;
        if (s.fd > 2 && (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)) return;
        // The syslog daemon was restarted.
        int fresh = connect_syslog();
        if (fresh < 0) break;
        if (s.fd > 2) ::close(s.fd);
        s.fd = fresh;
    }
    if (level >= Level::kFatal) write_all(2, std::string(ident) + ": " + body + "\n");
}

void die(std::string_view text) {
    write(Level::kFatal, text);
    std::fflush(nullptr);
    ::_exit(1);   // no destructors: it may be a forked child, or threads may run
}

}   // namespace postcot::log
