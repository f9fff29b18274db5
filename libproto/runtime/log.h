// Log lines as Postfix and Dovecot write them. One destination per process, opened before any sandbox.
//   Postfix idents:  postfix/smtpd[123]: warning: ...      Dovecot:  dovecot: imap-login: Error: ...  (or dovecot:
//   imap(user)<pid><session>: ...)
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace postcot::log {

enum class Level { kDebug, kInfo, kWarning, kError, kFatal, kPanic };

enum class Dialect {
    kPostfix,   // "warning: ", "error: ", "fatal: " before the text
    kDovecot,   // "Warning: ", "Error: ", "Fatal: " after the prefix
};

struct Destination {
    enum class Kind { kSyslog, kStderr, kFile } kind = Kind::kStderr;
    std::string path;   // kFile: maillog_file / log_path
};

struct Options {
    std::string ident;   // "postfix/smtpd" or "dovecot"
    Dialect dialect = Dialect::kPostfix;
    std::string prefix;   // Dovecot: "imap-login: "; empty for Postfix
    Destination destination;
    int facility = 2 << 3;   // LOG_MAIL
    bool debug = false;
};

void open(Options options);
int descriptor();                                 // of a file or syslog's socket: a forked child keeps it; -1: none
void detach();                                    // it was closed: to standard error from now on
void reopen();                                    // after log rotation
void set_prefix(std::string prefix);              // Dovecot's per-user prefix in one-user processes
void write(Level level, std::string_view text);   // control characters and broken UTF-8 become '?'
// The same under another ident: one process of ours does what several of Postfix's do ("postfix/cleanup",
// "postfix/qmgr").
void write_as(std::string_view ident, Level level, std::string_view text);

template <class... A>
void info_as(std::string_view ident, fmt::format_string<A...> f, A&&... a) {
    write_as(ident, Level::kInfo, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void warning_as(std::string_view ident, fmt::format_string<A...> f, A&&... a) {
    write_as(ident, Level::kWarning, fmt::format(f, std::forward<A>(a)...));
}

template <class... A>
void debug(fmt::format_string<A...> f, A&&... a) {
    write(Level::kDebug, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void info(fmt::format_string<A...> f, A&&... a) {
    write(Level::kInfo, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void warning(fmt::format_string<A...> f, A&&... a) {
    write(Level::kWarning, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void error(fmt::format_string<A...> f, A&&... a) {
    write(Level::kError, fmt::format(f, std::forward<A>(a)...));
}
// Logs and ends the process with status 1 (Postfix: and the supervisor backs off before a restart).
template <class... A>
[[noreturn]] void fatal(fmt::format_string<A...> f, A&&... a);
[[noreturn]] void die(std::string_view text);
template <class... A>
[[noreturn]] void fatal(fmt::format_string<A...> f, A&&... a) {
    die(fmt::format(f, std::forward<A>(a)...));
}

}   // namespace postcot::log
